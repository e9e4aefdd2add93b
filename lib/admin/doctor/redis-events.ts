// Whether expiry events are published and arrive: a key that lapses at once, and the event that must come back to a subscriber of this user.

import { randomUUID } from 'node:crypto'
import { isReply } from '../../redis/replies.js'
import { publishesExpiry, readSettings } from '../../redis/server.js'
import { within } from '../../wait.js'
import { byHand, type Check, type Finding, fine, redisCli, redisConf, unseen, wrong } from './check.js'
import type { Subject, SubjectRedis } from './subject.js'
import { why } from './subject.js'

const NAME = 'redis.events'
const TTL_MS = 20
const CONTROL_TTL_MS = 1_000
const WAIT_MS = 1_000

export const redisEvents: Check = {
  name: NAME,
  needs: 'redis',
  async look({ redis, runtime, role }) {
    if (role === 'web') return []
    return [await proved(redis as SubjectRedis, runtime)]
  },
}

async function proved({ connection, source }: SubjectRedis, { keys }: Subject['runtime']): Promise<Finding> {
  const expected = 'an expired key comes back as an event within a second'
  const { notifications } = await readSettings(connection)
  const off = notifications !== undefined && !publishesExpiry(notifications)
  const listener = source.create('express-order-timers:doctor')
  listener.on('error', () => {})
  const channel = `__keyevent@${source.db}__:expired`
  const user = connection.client.options.username ?? 'default'
  try {
    await within(WAIT_MS, listener.connect())
    await listener.subscribe(channel)
    const key = keys.expiryProbe(`doctor:${randomUUID()}`)
    const startedAt = performance.now()
    const arrival = new Promise<number>((resolve) => {
      listener.on('message', (_, name) => name === key && resolve(performance.now() - startedAt))
    })
    await connection.run(WAIT_MS, (client) => client.set(`${key}:control`, '1', 'PX', CONTROL_TTL_MS))
    await connection.run(WAIT_MS, (client) => client.set(key, '1', 'PX', TTL_MS))
    await new Promise((resolve) => setTimeout(resolve, TTL_MS + 2))
    await connection.run(WAIT_MS, (client) => client.exists(key)) // touching an expired key has Redis publish its event at once
    const tookMs = await within(off ? 200 : WAIT_MS, arrival)
    if (tookMs !== undefined)
      return fine(NAME, { expected, found: `it came back after ${Math.round(tookMs)} ms, of which it lived ${TTL_MS}` })
    if (!off && notifications !== undefined) {
      const found = `none came back, although notify-keyspace-events is ${JSON.stringify(notifications)}`
      return wrong(
        NAME,
        { expected, found },
        redisCli(`ACL SETUSER ${user} &${channel}`),
        byHand('or the connection leads to another server than the timers'),
      )
    }
    const flags = `${notifications ?? ''}Ex`
    const found =
      notifications === undefined ? 'none came back' : `none came back: notify-keyspace-events is ${JSON.stringify(notifications)}`
    return wrong(
      NAME,
      { expected, found },
      redisConf(`notify-keyspace-events ${[...new Set(flags)].join('')}`),
      redisCli(`CONFIG SET notify-keyspace-events ${[...new Set(flags)].join('')}`),
    )
  } catch (error) {
    if (!isReply(error)) return unseen(NAME, { expected, found: why(error) })
    return wrong(
      NAME,
      { expected, found: `the subscription was refused (${why(error)})` },
      redisCli(`ACL SETUSER ${user} &${channel} +subscribe`),
    )
  } finally {
    listener.disconnect()
  }
}
