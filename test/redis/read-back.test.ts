// What is read back from Redis although nobody of this package wrote it so: it is left out, and hides nothing else.

import assert from 'node:assert/strict'
import { RedisLook } from '../../lib/health/redis.js'
import { LatenessReader } from '../../lib/redis/lateness-counts.js'
import { SweepMarks } from '../../lib/redis/sweep-marks.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'

describe('what stands in Redis in another form', () => {
  let shop: Shop<OneOfEach>
  let redis: NonNullable<ReturnType<typeof runtimeOf>['redis']>
  let keys: ReturnType<typeof runtimeOf>['keys']

  before(async () => {
    shop = await openShop(oneOfEach)
    const runtime = runtimeOf(shop.timers)
    assert.ok(runtime.redis)
    ;({ redis, keys } = runtime as typeof runtime & { redis: typeof redis })
    await redis.connection.connected(5_000)
  })

  after(() => shop.close())

  it('is no mark of a sweep, neither is one from a future that no failover explains', async () => {
    const marks = new SweepMarks(redis.connection, keys, redis.clock)
    const kind = runtimeOf(shop.timers).kinds[0] as string
    const { read, undated } = keys.sets(kind)
    const look = async () => (await new RedisLook(runtimeOf(shop.timers)).read())?.readAgoMs?.has(kind)
    const hourAhead = String(Date.now() + 3_600_000)
    for (const odd of ['', 'text', '-1', '1e3', hourAhead]) {
      await shop.redis.client.set(read, odd)
      await shop.redis.client.set(undated, `3 ${odd}`)
      assert.deepEqual([await marks.age(kind), await look(), await marks.undated(kind)], [undefined, false, undefined], odd)
    }
    for (const odd of ['', '3', 'many 1', `-3 ${Date.now()}`]) {
      await shop.redis.client.set(undated, odd)
      assert.equal(await marks.undated(kind), undefined, odd)
    }
    await marks.note(kind)
    await marks.noteUndated(kind, 3)
    assert.ok(((await marks.age(kind)) ?? Number.NaN) < 30_000)
    assert.deepEqual([await look(), (await marks.undated(kind))?.count], [true, 3])
    await shop.redis.client.set(read, Date.now() + 30_000) // as after a failover
    assert.equal(await marks.age(kind), 0)
  })

  it('is no count of lateness, and the sum of many stays the most there is', async () => {
    const [seconds] = await shop.redis.client.time()
    const minute = Math.floor(Number(seconds) / 60)
    const odd = { '1': 'x', '2': '-1', '5': '1.5', '10': '99999999999', '20': '' }
    const fields = (counts: object) =>
      Object.fromEntries(Object.entries(counts).map(([bucket, count]) => [`order_pay event ${bucket}`, count]))
    await shop.redis.client.hset(keys.lateness(minute), fields({ ...odd, '50': '7', '100': '4294967295' }))
    await shop.redis.client.hset(keys.lateness(minute - 1), fields({ '50': '1', '100': '4294967295' }))
    const counts = (await new LatenessReader(redis.connection, keys).read(3, 5_000)).get('order_pay')?.get('event')
    assert.deepEqual([...(counts ?? [])].slice(0, 8), [0, 0, 0, 0, 0, 8, 4_294_967_295, 0])
  })
})
