import assert from 'node:assert/strict'
import { PROBE_TTL_MS } from '../../lib/redis/pulse.js'
import type { RuntimeRedis } from '../../lib/timers/runtime.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'

describe('a pulse', () => {
  it('sets the key of the expiry probe anew, even if Redis’s clock was set back, so that the key would be there for an hour', async () => {
    const shop = await openShop(oneOfEach)
    const { keys, redis } = runtimeOf(shop.timers)
    const { connection, pulse } = redis as RuntimeRedis
    await connection.connected(5_000)
    const key = keys.expiryProbe('a worker')
    await shop.redis.client.set(key, '1', 'PX', 3_600_000)
    const probe = { key, control: `${key}:control`, controlTtlMs: 5_000 }
    const answer = await pulse.send({ kinds: [], partition: 0, probe, isThorough: false })
    assert.deepEqual(answer.probe, { isRefused: false, isSet: true, hasControl: false })
    assert.ok((await shop.redis.client.pttl(key)) <= PROBE_TTL_MS)
    await shop.close()
  })

  it('takes no data for lost because Redis was full when the index was to be given a newer epoch', async () => {
    const server = await RedisServer.start()
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    const { keys, redis } = runtimeOf(shop.timers)
    const { connection, pulse } = redis as RuntimeRedis
    await connection.connected(5_000)
    const minuteAgo = Date.now() - 60_000
    await shop.redis.client.hset(`${keys.sets('order_confirm').due}:state`, 'epoch', minuteAgo)
    const isLost = async () =>
      (await pulse.send({ kinds: ['order_confirm'], partition: 0, isThorough: false })).heads.map(({ lost }) => lost)
    await shop.redis.client.config('SET', 'maxmemory', 1)
    assert.deepEqual(await isLost(), [false])
    assert.deepEqual(await isLost(), [false])
    await shop.redis.client.config('SET', 'maxmemory', 0)
    assert.deepEqual(await isLost(), [false])
    await shop.close()
    await server.stop()
  })
})
