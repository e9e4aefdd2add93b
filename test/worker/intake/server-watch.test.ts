import assert from 'node:assert/strict'
import { toLog } from '../../../lib/logger.js'
import { RedisConnection } from '../../../lib/redis/connection.js'
import type { RedisSource } from '../../../lib/redis/single-source.js'
import { parseRedisSource } from '../../../lib/redis/source.js'
import { Faults } from '../../../lib/worker/faults.js'
import { ServerWatch } from '../../../lib/worker/intake/server-watch.js'
import { RedisServer } from '../../support/redis-server.js'

describe("the watch of a server's kind", () => {
  it('cuts no look short that is under way, however long the server takes to answer', async () => {
    const server = await RedisServer.start(['--replicaof', '127.0.0.1 1'])
    const connection = new RedisConnection(parseRedisSource(server.url) as RedisSource, 'test')
    await connection.connected(5_000)
    const faults = new Faults({ emitSafely() {} }, toLog(false))
    const watch = new ServerWatch({ connection, faults, configureRedis: false })
    watch.start({ onUsable() {}, onConfigured() {}, onPublishesTtls() {} })
    await watch.look()
    assert.ok(faults.has('REDIS_UNUSABLE'))
    // From now on it is looked at every 0.75 s, and a server that is silent is given up after 1.5 s.
    let asked = 0
    connection.reconnect = () => {
      asked += 1
    }
    server.pause()
    await watch.look()
    assert.equal(asked, 0)
    server.resume()
    await watch.stop()
    connection.close()
    await server.stop()
  })
})
