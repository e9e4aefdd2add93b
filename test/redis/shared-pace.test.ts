import assert from 'node:assert/strict'
import { SharedPace } from '../../lib/redis/shared-pace.js'
import type { RuntimeRedis } from '../../lib/timers/runtime.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'

const HOUR_MS = 3_600_000

describe('the pace that all workers share', () => {
  it('makes nobody wait for what was reserved before Redis’s clock was set back', async () => {
    const shop = await openShop(oneOfEach)
    const { keys, redis } = runtimeOf(shop.timers)
    const { connection } = redis as RuntimeRedis
    await connection.connected(5_000)
    const pace = new SharedPace(connection, keys)
    const reserve = () => pace.reserve('order_confirm', 10, 1, 3_000)
    assert.equal(await reserve(), 0)
    assert.ok(((await reserve()) as number) > 5_000)
    // The clock cannot be set back, but what it said can be set forward.
    const name = keys.sets('order_confirm').pace
    const noted = (await shop.redis.client.get(name)) as string
    await shop.redis.client.set(
      name,
      noted.replace(/[\d.]+/g, (ms) => String(Number(ms) + HOUR_MS)),
      'PX',
      HOUR_MS,
    )
    assert.equal(await reserve(), 0)
    assert.ok(((await reserve()) as number) > 5_000)
    await shop.close()
  })
})
