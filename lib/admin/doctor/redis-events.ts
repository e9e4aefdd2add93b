// Whether expiry events are published and arrive: a key that expires at once, and the event that must reach a subscriber of this user. Where Redis also
// publishes keys that get a TTL, whether this user may subscribe to them.

import { randomUUID } from 'node:crypto'
import { isReply } from '../../redis/replies.js'
import { publishesExpiry, publishesTtls, readSettings, withExpiryEvents } from '../../redis/server.js'
import { within } from '../../wait.js'
import { advice, byHand, type Check, type Finding, fine, redisCli, redisConf, unseen, wrong } from './check.js'
import type { Subject, SubjectRedis } from './subject.js'
import { why } from './subject.js'

const NAME = 'redis.events'
const TTL_MS = 20
const WAIT_MS = 1_000
/** How long to wait if the configuration says that none will come. */
const OFF_MS = 200

export const redisEvents: Check = {
  name: NAME,
  needs: 'redis',
  ofEachNode: true,
  async look({ redis, runtime, role }) {
    if (role === 'web') return []
    return [await proved(redis as SubjectRedis, runtime), ...(await refusedTtls(redis as SubjectRedis))]
  },
}

async function proved({ connection, source, tag }: SubjectRedis, { keys }: Subject['runtime']): Promise<Finding> {
  const expected = 'an expired key comes back as an event within a second'
  const { notifications } = await readSettings(connection)
  const off = notifications !== undefined && !publishesExpiry(notifications)
  const listener = source.create('express-order-timers:doctor')
  listener.on('error', () => {})
  const channel = `__keyevent@${source.db}__:expired`
  const { user } = source
  try {
    await within(WAIT_MS, listener.connect())
    await listener.subscribe(channel)
  } catch (error) {
    listener.disconnect()
    if (!isReply(error)) return unseen(NAME, { expected, found: why(error) })
    const found = `the subscription was refused (${why(error)})`
    return wrong(NAME, { expected, found }, redisCli(`ACL SETUSER ${user} &${channel} +subscribe`))
  }
  const roundTrip = async () => {
    const name = `doctor:${randomUUID()}`
    const key = tag === undefined ? keys.expiryProbe(name) : keys.expiryProbeOn(tag, name)
    const startedAt = performance.now()
    const arrival = new Promise<number>((resolve) => {
      listener.on('message', (_, name) => name === key && resolve(performance.now() - startedAt))
    })
    await connection.run(WAIT_MS, (client) => client.set(key, '1', 'PX', TTL_MS))
    await new Promise((resolve) => setTimeout(resolve, TTL_MS + 2))
    await connection.run(WAIT_MS, (client) => client.exists(key)) // touching an expired key makes Redis publish its event at once
    return within(off ? OFF_MS : WAIT_MS, arrival)
  }
  try {
    const tookMs = await roundTrip()
    if (tookMs !== undefined)
      return fine(NAME, { expected, found: `it came back after ${Math.round(tookMs)} ms, of which it lived ${TTL_MS}` })
  } catch (error) {
    return unseen(NAME, { expected, found: `the key could not be set (${why(error)})` })
  } finally {
    listener.disconnect()
  }
  if (!off && notifications !== undefined) {
    const found = `none came back, although notify-keyspace-events is ${JSON.stringify(notifications)}`
    return wrong(NAME, { expected, found }, byHand('see whether the address leads to one server, such as a proxy in front of several'))
  }
  const found =
    notifications === undefined ? 'none came back' : `none came back: notify-keyspace-events is ${JSON.stringify(notifications)}`
  const line = `notify-keyspace-events ${withExpiryEvents(notifications ?? '')}`
  return wrong(NAME, { expected, found }, redisCli(`CONFIG SET ${line}`), redisConf(line))
}

async function refusedTtls({ connection, source }: SubjectRedis): Promise<Finding[]> {
  const { notifications = '' } = await readSettings(connection)
  if (!publishesTtls(notifications)) return []
  const channel = `__keyevent@${source.db}__:expire`
  const listener = source.create('express-order-timers:doctor')
  listener.on('error', () => {})
  try {
    await within(WAIT_MS, listener.connect())
    await listener.subscribe(channel)
    return []
  } catch (error) {
    if (!isReply(error)) return [] // reported by the other findings
    const found = `the subscription was refused (${why(error)}): keys that other services set are found by scans alone`
    const expected = `with the flag g, this user hears of each key that gets a TTL`
    return [advice(NAME, { expected, found }, redisCli(`ACL SETUSER ${source.user} &${channel}`))]
  } finally {
    listener.disconnect()
  }
}
