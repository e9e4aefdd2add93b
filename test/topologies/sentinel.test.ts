// Redis by three Sentinels, which fail over in the middle of a burst: the primary is killed, hangs, or is replaced by command.

import assert from 'node:assert/strict'
import { Redis, type RedisOptions } from 'ioredis'
import { status } from '../../lib/admin/status.js'
import { RedisConnection } from '../../lib/redis/connection.js'
import type { RedisSource } from '../../lib/redis/single-source.js'
import { parseRedisSource } from '../../lib/redis/source.js'
import { confirmed, confirming, ship } from '../faults/confirming.js'
import { Lines } from '../support/lines.js'
import { enter } from '../support/opened.js'
import type { RedisServer } from '../support/redis-server.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { Sentinels, type SentinelsOptions } from '../support/sentinels.js'
import { makeTimers, openShop } from '../support/shop.js'
import { inTime, waitUntil } from '../support/waiting.js'
import { allWereSettled, burst, webProcess } from './bursts.js'

const COUNT = 2_000
/** The sweep after a reconnection does not count on the next one by the clock. */
const EVERY_TEN_SECONDS = '*/10 * * * * *'
/** A failover takes seconds, of which Sentinel needs most, and the machine is busy. */
const LIMITS = { lateMs: 20_000, within: 40_000 }

interface Options extends SentinelsOptions {
  redis?: RedisOptions
  /** The option "redis" is a client of the shop's own. */
  asClient?: boolean
}

describe('Sentinels fail over in the middle of a burst', () => {
  const start = async ({ redis: more, asClient, ...options }: Options = {}) => {
    const sentinels = await Sentinels.start(options)
    const all: RedisOptions = { ...sentinels.options, ...more }
    const client = asClient ? (new Redis(all as never) as Redis) : undefined
    client?.on('error', () => {})
    const struckOut = client && enter('a client of the shop', async () => client.disconnect())
    const logger = new Lines()
    const shop = await openShop(confirming(), { redis: client ?? all, logger })
    const webs = [0, 1].map(() => webProcess(shop.database, { redis: client ?? all, prefix: shop.redis.prefix }))
    const [web, idle] = webs as [(typeof webs)[0], (typeof webs)[0]]
    const worker = await shop.worker({ fallback: EVERY_TEN_SECONDS })
    const stop = async () => {
      await Promise.all(webs.map((one) => one.close()))
      await shop.close()
      client?.disconnect()
      struckOut?.()
      await sentinels.stop()
    }
    const isPrimary = async (server: RedisServer) => /^role:master/m.test(await sentinels.client(server.port).info('replication'))
    return { sentinels, shop, web, idle, worker, logger, isPrimary, stop }
  }

  it('because the primary was killed', async () => {
    const { sentinels, shop, web, worker, logger, stop } = await start()
    const { half, done } = burst(shop.database, web, COUNT)
    await half
    await sentinels.first.kill()
    const { armed, notArmed } = await done
    assert.ok(armed > COUNT / 4 && notArmed > 0, `${armed} armed, ${notArmed} not`)
    await allWereSettled(shop.database, COUNT, LIMITS)
    await waitUntil(() => worker.health().status === 'ok')
    assert.deepEqual(new Set(worker.faultsTold.map(({ code }) => code)), new Set(['REDIS_UNAVAILABLE']))
    const addresses = sentinels.ports.map((port) => `127.0.0.1:${port}`).join(', ')
    assert.match(logger.of('warn')[0]!, new RegExp(`^REDIS_UNAVAILABLE: Redis at "shop" by Sentinel ${addresses} db 0 does not answer; `))
    assert.ok(logger.of('info').includes('REDIS_UNAVAILABLE: over'))
    const { ok, redis } = await status(runtimeOf(shop.timers))
    assert.deepEqual([ok, redis.publishesExpiry, redis.problem], [true, true, undefined])
    await stop()
  }).timeout(120_000)

  it('because the primary hung, which wakes up later and still takes the writes of who never noticed', async () => {
    const { sentinels, shop, web, idle, worker, isPrimary, stop } = await start({ asClient: true })
    await idle.schedule('order_confirm', (await ship(shop, 1, 60_000))[0]!, { after: 1_000 })
    const { half, done } = burst(shop.database, web, COUNT)
    await half
    sentinels.first.pause()
    await sentinels.arePointingAt(sentinels.second)
    await waitUntil(() => worker.health().redis?.connected)
    sentinels.first.resume()
    assert.equal(await isPrimary(sentinels.first), true)
    await ship({ database: shop.database, timers: idle }, 20, 3_000)
    await done
    await allWereSettled(shop.database, COUNT + 21, LIMITS)
    await waitUntil(() => worker.health().status === 'ok')
    await stop()
  }).timeout(120_000)

  it('by command, and with failoverDetector connections follow at once, over TLS, to a primary that publishes no events', async () => {
    const { sentinels, shop, web, worker, logger, isPrimary, stop } = await start({
      ...{ tls: true, redis: { failoverDetector: true } },
      replica: ['--notify-keyspace-events', ''],
    })
    const { half, done } = burst(shop.database, web, COUNT)
    await half
    await sentinels.failOver()
    await waitUntil(() => worker.health().faults.some(({ code }) => code === 'EVENTS_OFF'))
    assert.equal(await isPrimary(sentinels.first), true) // nothing but the Sentinels' word has moved them
    await done
    await allWereSettled(shop.database, COUNT, LIMITS)
    const told = logger.of('warn').find((line) => line.startsWith('EVENTS_OFF'))
    assert.match(told ?? '', /publishes no expiry events \(notify-keyspace-events is ""\); set in redis\.conf: notify-keyspace-events Ex$/)
    const { ok, redis } = await status(runtimeOf(shop.timers))
    assert.deepEqual([ok, redis.answering, redis.publishesExpiry], [true, true, false])
    await stop()
  }).timeout(120_000)

  it('by command, and without it a new connection and an old one have two primaries for some seconds', async () => {
    const { sentinels, shop, web, worker, isPrimary, stop } = await start()
    await sentinels.failOver()
    await sentinels.arePointingAt(sentinels.second)
    const { done } = burst(shop.database, web, COUNT)
    await waitUntil(async () => !(await isPrimary(sentinels.first)), { within: 40_000 })
    await done
    await allWereSettled(shop.database, COUNT, LIMITS)
    await waitUntil(() => worker.health().status === 'ok')
    await stop()
  }).timeout(120_000)
})

describe('While no Sentinel names a primary', () => {
  it('a shop starts and goes on by the sweep, its calls do not wait, and the error says what to check', async () => {
    const sentinels = await Sentinels.start()
    await sentinels.kill()
    const logger = new Lines()
    const shop = await openShop(confirming(), { redis: sentinels.options, logger })
    const { message } = await refused(() => shop.timers.check())
    const remedy = 'check that the Sentinels run, can be reached, and know the primary by "name"'
    assert.match(
      message,
      new RegExp(`^orderTimers: Redis at "shop" by Sentinel .* does not answer \\(no Sentinel names a primary\\); ${remedy}$`),
    )
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await waitUntil(() => logger.of('warn').some((line) => line.startsWith('REDIS_UNAVAILABLE') && line.endsWith(remedy)))
    const { armed } = await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }), { after: 100 })
    assert.equal(armed, false)
    await confirmed(shop, 1)
    await sentinels.restart()
    await waitUntil(() => worker.health().status === 'ok' && worker.health().redis?.events)
    await shop.close()
    await sentinels.stop()
  }).timeout(60_000)

  it('because they know none by this name, the error says so', async () => {
    const sentinels = await Sentinels.start()
    const timers = makeTimers({ order_other: async () => {} }, { redis: { ...sentinels.options, name: 'shpo' } })
    const { code, message } = await refused(() => timers.check())
    assert.equal(code, 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE')
    assert.match(message, /^orderTimers: Redis at "shpo" by Sentinel .* know the primary by "name"$/)
    await timers.close()
    await sentinels.stop()
  })
})

describe('While all Sentinels answer', () => {
  it('a connection is made again any number of times, and nobody is told that they are away', async () => {
    const sentinels = await Sentinels.start()
    const connection = new RedisConnection(parseRedisSource(sentinels.options) as RedisSource, 'test')
    await connection.connected(10_000)
    const reasons: string[] = []
    connection.onDown((error) => reasons.push(String(error)))
    for (let times = 1; times <= 4; times += 1) {
      const isUp = new Promise<void>((resolve) => connection.onUp(resolve))
      connection.reconnect(new Error('a test'))
      await inTime(isUp, 10_000, 'the connection')
    }
    assert.deepEqual(new Set(reasons), new Set(['Error: a test']))
    connection.close()
    await sentinels.stop()
  }).timeout(60_000)
})
