// What ioredis takes for ready. It sends INFO to find out whether a server has loaded its data. It accepts a lack of rights, but after any other error it
// reconnects for ever. So a server on which INFO was renamed counts as ready here. While a server loads its data, it says so to each command.
//
// ioredis 5.4 also calls a connection ready whose user was refused, if the default user may read INFO: it has begun to leave by then, would count the next
// attempt as the first again, and so would try again many times a second. Here the ready check fails too.

import type { Redis } from 'ioredis'

type Told = (error: Error | null, text?: string) => void

const RENAMED = /unknown command/i

export function withOurReadyCheck(client: Redis): Redis {
  const info = client.info.bind(client) as unknown as (...values: unknown[]) => Promise<string>
  let refused: Error | undefined
  client.on('error', (error: Error & { command?: { name?: string } }) => {
    if (error.command?.name === 'auth') refused = error
  })
  client.on('close', () => {
    refused = undefined
  })
  const asked = (...values: unknown[]) => {
    const told = values.at(-1)
    if (typeof told !== 'function') return info(...values)
    const tell: Told = (error, text) => {
      if (refused) told(refused)
      else if (error && RENAMED.test(error.message)) told(null, '')
      else told(error, text)
    }
    return info(...values.slice(0, -1), tell)
  }
  return Object.assign(client, { info: asked }) as unknown as Redis
}
