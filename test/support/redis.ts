// A prefix of a test's own in a Redis (REDIS_URL unless told otherwise), and a plain client to look and to meddle with. `close` removes
// the prefix's keys.

import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { enter } from './opened.js'
import { inTime } from './waiting.js'

export interface TestRedis {
  readonly url: string
  readonly prefix: string
  /** A client without any prefix. It can be lost with its server. */
  readonly client: Redis
  close(): Promise<void>
}

export async function openRedis(options: { url?: string } = {}): Promise<TestRedis> {
  const url = options.url ?? process.env.REDIS_URL
  if (url === undefined) throw new Error('REDIS_URL is not set; run the tests by `npm test`')
  const prefix = `t${randomBytes(6).toString('hex')}:`
  const client = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 100 })
  client.on('error', () => {})

  const close = async (): Promise<void> => {
    if (client.status === 'ready') await inTime(removeKeys(client, prefix), 3000, 'the keys to be removed').catch(() => {})
    client.disconnect()
    strikeOut()
  }
  const strikeOut = enter(`Redis client with prefix ${prefix}`, close)
  return { url, prefix, client, close }
}

async function removeKeys(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1000 })) {
    if (keys.length > 0) await client.unlink(...(keys as string[]))
  }
}
