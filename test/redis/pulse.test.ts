import assert from 'node:assert/strict'
import { PROBE_TTL_MS } from '../../lib/redis/pulse.js'
import type { RuntimeRedis } from '../../lib/timers/runtime.js'
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
})
