// Floods of keys that are none of ours, and of malformed ones that look like ours, on the channel that the worker listens to. Memory stays
// bounded, Postgres is not asked, and the timers are on time.

import assert from 'node:assert/strict'
import { RedisServer } from '../support/redis-server.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'
import { confirmed, confirming, ship, wereNotLate } from './confirming.js'

const MALFORMED = [
  '',
  'abc',
  '1.5',
  '1e3',
  '0x10',
  '-1',
  '+5',
  '007',
  ' 2 ',
  '２',
  '1:2',
  '1; drop table orders',
  '99999999999999999999',
  '34\r\n[ERROR] forged',
]

describe('In a flood', () => {
  let redis: RedisServer
  beforeEach(async () => {
    redis = await RedisServer.start()
  })
  afterEach(() => redis.stop())

  it('of 25,000 external keys that expire, timers are on time and memory is bounded', async () => {
    const shop = await openShop(confirming(), { redisUrl: redis.url })
    const worker = await shop.worker()
    const before = process.memoryUsage.rss()
    const ids = await ship(shop, 200, 6000)
    for (let round = 0; round < 25; round += 1) {
      const pipeline = shop.redis.client.pipeline()
      for (let n = 0; n < 1000; n += 1) pipeline.set(`session:${round}:${n}`, 'x', 'PX', 100 + (n % 100))
      await pipeline.exec()
      await waitUntil(() => worker.health().events.external >= round * 1000 * 0.5, { within: 2000 })
    }
    await confirmed(shop, 200, 10_000)
    await waitUntil(() => worker.health().events.external >= 25_000)
    await wereNotLate(shop.database, ids)
    assert.ok(process.memoryUsage.rss() - before < 150e6)
    await shop.close()
  })

  it('of 100,000 malformed keys of our kinds, all are counted and skipped and Postgres is not asked', async () => {
    const statements: string[] = []
    const shop = await openShop(confirming(), {
      redisUrl: redis.url,
      database: { sequelize: { logging: (sql) => void statements.push(sql) } },
    })
    const worker = await shop.worker({ fallback: false })
    const ids = await ship(shop, 100, 30_000)
    statements.length = 0
    for (let round = 0; round < 100; round += 1) {
      const pipeline = shop.redis.client.pipeline()
      for (let n = 0; n < 1000; n += 1) {
        pipeline.publish(
          '__keyevent@0__:expired',
          shop.key(`order_confirm:${MALFORMED[n % MALFORMED.length]}${n % 7 === 0 ? `x${n}` : ''}`),
        )
      }
      await pipeline.exec()
    }
    await waitUntil(() => worker.health().events.malformed + worker.health().events.external >= 100_000, { within: 25_000 })
    assert.deepEqual(
      statements.filter((sql) => /orders/.test(sql) && !/EXPLAIN/.test(sql)), // a new connection plans what settles
      [],
    )
    await confirmed(shop, 100, 40_000)
    await wereNotLate(shop.database, ids)
    await shop.close()
  }).timeout(120_000)

  it('of real ids by forged events, orders that are not due are left, and those that are due are on time', async () => {
    const shop = await openShop(confirming(), { redisUrl: redis.url })
    await shop.worker({ fallback: false })
    const ids = await ship(shop, 100, 3000)
    for (let round = 0; round < 20; round += 1) {
      const pipeline = shop.redis.client.pipeline()
      for (let n = 1; n <= 1000; n += 1) pipeline.publish('__keyevent@0__:expired', shop.key(`order_confirm:${n}`))
      await pipeline.exec()
    }
    await confirmed(shop, 100, 10_000)
    await wereNotLate(shop.database, ids)
    await shop.close()
  })

  it('of names a megabyte long or binary, the worker lives', async () => {
    const shop = await openShop(confirming(), { redisUrl: redis.url })
    const worker = await shop.worker()
    const { client } = shop.redis
    await client.set(shop.key(`order_confirm:${'9'.repeat(1e6)}`), '1', 'PX', 50)
    await client.set(Buffer.concat([Buffer.from(shop.key('order_confirm:')), Buffer.from([0xff, 0xfe, 0])]), '1', 'PX', 50)
    const { external, malformed } = worker.health().events
    await waitUntil(() => worker.health().events.external + worker.health().events.malformed >= external + malformed + 2)
    await ship(shop, 10, 200)
    await confirmed(shop, 10)
    await shop.close()
  })

  it('of 20,000 deadlines in the same millisecond all are settled, once', async () => {
    const shop = await openShop(confirming(), { redisUrl: redis.url, database: { pool: { max: 8 } } })
    const at = Date.now() + 12_000
    const sql = `INSERT INTO orders ("userId", total, status, "confirmDueAt", "createdAt", "updatedAt")
      SELECT 1, 1, 4, $1, now(), now() FROM generate_series(1, 20000)`
    await shop.database.client.query(sql, [new Date(at)])
    await shop.worker({ fallback: false }) // its first sweep arms what comes due within an hour
    await shop.worker({ fallback: false })
    const { client } = shop.redis
    await waitUntil(async () => (await client.zcard(shop.key('order-timers:{order_confirm}:due'))) === 20_000)
    assert.ok(Date.now() < at, 'all were armed in time')
    await confirmed(shop, 20_000, 45_000)
    await shop.close()
  }).timeout(90_000)
})
