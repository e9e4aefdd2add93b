import assert from 'node:assert/strict'
import { Keys } from '../../../lib/keys.js'
import type { RedisConnection } from '../../../lib/redis/connection.js'
import type { ScanStep } from '../../../lib/redis/pulse.js'
import { ExternalKeys } from '../../../lib/worker/intake/external-keys.js'
import { RedisServer } from '../../support/redis-server.js'
import { openShop } from '../../support/shop.js'
import { oneOfEach } from '../../support/shop-rules.js'
import { waitUntil } from '../../support/waiting.js'

const OTHERS = 2_000
const KEYS = 30

describe("keys that somebody else sets, among many others' with a TTL", () => {
  it('are settled within seconds of their expiry', async function () {
    this.timeout(60_000)
    const server = await RedisServer.start()
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    const { client } = shop.redis
    for (let first = 0; first < OTHERS; first += 1000) {
      const pipeline = client.pipeline()
      for (let i = first; i < first + 1000; i++) pipeline.set(`session:${i}`, '1', 'EX', 3600)
      await pipeline.exec()
    }
    const worker = await shop.worker({ fallback: false })
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: KEYS }, () => ({ status: 2 })))
    const scans = () => worker.health().redis?.externalScans as number
    const afterScans = async (count: number) => {
      const [before, startedAt] = [scans(), performance.now()]
      await waitUntil(() => scans() >= before + count, { within: 20_000 })
      return performance.now() - startedAt
    }
    const at = Math.ceil(Date.now() + 4 * (await afterScans(2)) + 3000)
    await Promise.all(orders.map(({ id }, i) => client.set(shop.key(`order_ship:${id}`), '1', 'PXAT', at + 10 * i)))
    await afterScans(2)
    assert.ok(Date.now() < at, 'the keys were noted in time')
    await waitUntil(() => worker.settled.length === KEYS, { within: 30_000 })
    const changes = await shop.database.ledger.changes()
    const late = changes
      .map((change) => change.at.getTime() - (at + 10 * orders.findIndex(({ id }) => String(id) === change.id)))
      .sort((a, b) => a - b)
    assert.ok((late[0] as number) >= 0, `${late[0]} ms`)
    assert.ok((late[KEYS - 2] as number) < 2000, `late by ${late.join(', ')} ms`)
    assert.ok(worker.settled.some(({ via }) => via === 'event')) // the others found the worker busy, and waited in the index for its alarm
    await shop.close()
    await server.stop()
  })

  it('are settled at their expiry where Redis publishes no events, but for those that are deleted before', async function () {
    this.timeout(60_000)
    const server = await RedisServer.start(['--notify-keyspace-events', ''])
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events === false)
    const scans = () => worker.health().redis?.externalScans as number
    const set = async () => {
      const id = await shop.order({ status: 2 })
      const [at, before] = [Date.now() + 8_000, scans()]
      await shop.redis.client.set(shop.key(`order_ship:${id}`), '1', 'PXAT', at)
      await waitUntil(() => scans() > before + 1, { within: 8_000 })
      assert.ok(Date.now() < at, 'the key was noted in time')
      return { id, at }
    }
    const [deleted, expiring] = [await set(), await set()]
    await shop.redis.client.del(shop.key(`order_ship:${deleted.id}`))
    await waitUntil(() => worker.settled.length > 0, { within: 20_000 })
    const [change] = await shop.database.ledger.changes(expiring.id)
    const lateMs = (change?.at.getTime() as number) - expiring.at
    assert.ok(lateMs >= 0 && lateMs < 2_000, `late by ${lateMs} ms`)
    assert.deepEqual([await shop.statusOf(deleted.id), worker.settled.map(({ via }) => via)], [2, ['event']])
    await shop.close()
    await server.stop()
  })

  it('are found by another worker as soon as the one that scans is stopped', async function () {
    this.timeout(60_000)
    const server = await RedisServer.start(['--notify-keyspace-events', ''])
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    const scanning = await shop.worker({ fallback: false })
    await waitUntil(() => (scanning.health().redis?.externalScans ?? 0) > 0)
    const other = await shop.worker({ fallback: false })
    await waitUntil(() => other.health().redis?.events === false)
    assert.equal(other.health().redis?.externalScans, 0)
    await scanning.stop()
    const id = await shop.order({ status: 2 })
    await shop.redis.client.set(shop.key(`order_ship:${id}`), '1', 'PX', 5_000)
    await waitUntil(() => other.settled.length > 0, { within: 10_000 })
    assert.equal(await shop.statusOf(id), 0)
    await shop.close()
    await server.stop()
  })

  it('that are deleted in time settle nothing, and those that are set again settle at their new time', async function () {
    this.timeout(40_000)
    const server = await RedisServer.start()
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    const { client } = shop.redis
    const worker = await shop.worker({ fallback: false })
    const [deleted, renewed] = [await shop.order({ status: 2 }), await shop.order({ status: 2 })]
    const first = Date.now() + 8000
    for (const id of [deleted, renewed]) await client.set(shop.key(`order_ship:${id}`), '1', 'PXAT', first)
    const scans = worker.health().redis?.externalScans as number
    await waitUntil(() => (worker.health().redis?.externalScans as number) > scans + 1, { within: 8000 })
    assert.ok(Date.now() < first, 'the keys were noted in time')
    await client.del(shop.key(`order_ship:${deleted}`))
    await client.set(shop.key(`order_ship:${renewed}`), '1', 'PXAT', first + 1000)
    await waitUntil(() => worker.settled.length > 0, { within: 20_000 })
    const [change] = await shop.database.ledger.changes(renewed)
    assert.ok((change?.at.getTime() as number) >= first + 1000)
    assert.deepEqual([await shop.statusOf(deleted), worker.settled.length], [2, 1])
    await shop.close()
    await server.stop()
  })
})

describe("a worker's first pass over the keyspace", () => {
  it('notes keys that expire within an hour: among a million others it takes longer than five minutes, and nobody looks at them again before', async () => {
    const external = new ExternalKeys({
      ...{ keys: new Keys(''), kinds: ['order_ship'], connection: { topology: 'server' } as RedisConnection, workerId: 'worker 1' },
      ...{
        hearing: { isDeaf: () => false, onExpired() {} },
        faults: { raise() {}, clear() {}, has: () => false },
        scans: true,
        lock: () => 'lock',
        unindexed: async (found: ScanStep['found']) => found,
      },
    })
    const [horizonMs] = external.firstStep()?.slice(4) ?? []
    assert.ok(Number(horizonMs) >= 3_600_000, `${horizonMs} ms`)
    await external.stop()
  })
})
