import assert from 'node:assert/strict'
import { Keys } from '../../../lib/keys.js'
import { toLog } from '../../../lib/logger.js'
import { RedisConnection } from '../../../lib/redis/connection.js'
import type { RedisSource } from '../../../lib/redis/single-source.js'
import { parseRedisSource } from '../../../lib/redis/source.js'
import { LAYOUT } from '../../../lib/version.js'
import { Faults } from '../../../lib/worker/faults.js'
import { reportConnection } from '../../../lib/worker/intake/connection-faults.js'
import { openRedis } from '../../support/redis.js'
import { waitUntil } from '../../support/waiting.js'

describe('the faults of a connection', () => {
  it('that may not use the data of a later version are over with that, where no watch looks at the server, as in a cluster', async () => {
    const redis = await openRedis()
    const keys = new Keys(redis.prefix)
    await redis.client.hset(keys.layout, { layout: LAYOUT + 1, version: '9.8.7' })
    const connection = new RedisConnection(parseRedisSource(redis.url) as RedisSource, 'test', keys)
    const faults = new Faults({ emitSafely() {} }, toLog(false))
    const end = reportConnection(connection, faults)
    connection.open()
    await waitUntil(() => faults.has('REDIS_UNUSABLE'))
    await redis.client.del(keys.layout)
    await waitUntil(() => connection.serving)
    assert.deepEqual(faults.list(), [])
    end()
    connection.close()
    await redis.close()
  })
})
