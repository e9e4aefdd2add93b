// ioredis sends INFO to find out whether a server has loaded its data. It accepts a lack of rights, but after any other error it reconnects for ever.
// So a server on which INFO was renamed counts as ready here. While a server loads its data, it says so to each command.

import type { Redis } from 'ioredis'

type Told = (error: Error | null, text?: string) => void

const RENAMED = /unknown command/i

export function readyWithoutInfo(client: Redis): Redis {
  const info = client.info.bind(client) as unknown as (...values: unknown[]) => Promise<string>
  const asked = (...values: unknown[]) => {
    const told = values.at(-1)
    if (typeof told !== 'function') return info(...values)
    const tell: Told = (error, text) => (error && RENAMED.test(error.message) ? told(null, '') : told(error, text))
    return info(...values.slice(0, -1), tell)
  }
  return Object.assign(client, { info: asked }) as unknown as Redis
}
