// Keys that somebody else has set and deleted again, where no events arrive and the look before the former expiry gets no answer.

import assert from 'node:assert/strict'
import { RedisConnection } from '../../../lib/redis/connection.js'
import type { RedisSource } from '../../../lib/redis/single-source.js'
import { parseRedisSource } from '../../../lib/redis/source.js'
import { Touches } from '../../../lib/worker/intake/touches.js'
import { openRedis, type TestRedis } from '../../support/redis.js'
import { RedisServer } from '../../support/redis-server.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { waitForEvent, waitUntil } from '../../support/waiting.js'

describe('a key that was deleted does not count as expired', () => {
  let server: RedisServer
  let proxy: TcpProxy
  let redis: TestRedis
  let connection: RedisConnection
  let touches: Touches
  let expired: string[]
  let isDeaf: boolean

  beforeEach(async () => {
    server = await RedisServer.start(['--notify-keyspace-events', ''])
    proxy = await TcpProxy.start(server.port)
    redis = await openRedis({ url: server.url })
    connection = new RedisConnection(parseRedisSource(`redis://127.0.0.1:${proxy.port}`) as RedisSource, 'test')
    await connection.connected(5_000)
    expired = []
    isDeaf = true
    touches = new Touches(connection, { isDeaf: () => isDeaf, onExpired: (key) => expired.push(key) })
  })

  afterEach(async () => {
    touches.stop()
    connection.close()
    await redis.close()
    await proxy.stop()
    await server.stop()
  })

  /** A key that does expire, after every look at the deleted one. */
  const isOnlyOneExpired = async () => {
    await redis.client.set('expiring', '1', 'PX', 1_000)
    touches.schedule('expiring', 1_000)
    await waitUntil(() => expired.includes('expiring'))
    assert.deepEqual(expired, ['expiring'])
  }

  it('where the connection closes during the look', async () => {
    const point = proxy.hold('exists')
    touches.schedule('deleted', 300)
    await point.seen
    const again = waitForEvent(connection.client, 'ready')
    proxy.reset()
    await again
    await waitUntil(() => connection.ready)
    await isOnlyOneExpired()
  })

  it('where Redis refuses the look', async () => {
    const refusals = proxy.count('replies', 'NOPERM')
    await redis.client.call('ACL', 'SETUSER', 'default', '-exists')
    touches.schedule('deleted', 300)
    await waitUntil(() => refusals.seen > 0)
    await redis.client.call('ACL', 'SETUSER', 'default', '+exists')
    await isOnlyOneExpired()
  })

  it('where events stop arriving after it was found, and one that expires does', async () => {
    isDeaf = false
    await redis.client.set('expiring', '1', 'PX', 1_000)
    touches.schedule('deleted', 1_000)
    touches.schedule('expiring', 1_000)
    isDeaf = true
    await waitUntil(() => expired.length > 0)
    assert.deepEqual(expired, ['expiring'])
  })
})
