// Keys that somebody else has set, and perhaps deleted again, where no events arrive and the look before their expiry gets no answer.

import assert from 'node:assert/strict'
import { RedisConnection } from '../../../lib/redis/connection.js'
import type { RedisSource } from '../../../lib/redis/single-source.js'
import { parseRedisSource } from '../../../lib/redis/source.js'
import { Touches } from '../../../lib/worker/intake/touches.js'
import { openRedis, type TestRedis } from '../../support/redis.js'
import { RedisServer } from '../../support/redis-server.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { waitForEvent, waitUntil } from '../../support/waiting.js'

describe('where no events arrive', () => {
  let server: RedisServer
  let proxy: TcpProxy
  let redis: TestRedis
  let connection: RedisConnection
  let touches: Touches
  let expired: string[]
  let isDeaf: boolean | undefined

  beforeEach(async () => {
    server = await RedisServer.start(['--notify-keyspace-events', ''])
    proxy = await TcpProxy.start(server.port)
    redis = await openRedis({ url: server.url })
    connection = new RedisConnection(parseRedisSource(`redis://127.0.0.1:${proxy.port}`) as RedisSource, 'test')
    await connection.connected(5_000)
    expired = []
    isDeaf = true
    touches = new Touches(connection, { isDeaf: () => isDeaf, onExpired: (key) => expired.push(key) }, 1_500)
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
    await redis.client.set('expiring', '1', 'PX', 3_000)
    touches.schedule('expiring', 3_000)
    await waitUntil(() => expired.includes('expiring'))
    assert.deepEqual(expired, ['expiring'])
  }

  it('a key that was deleted does not count as expired though the connection closes during the look', async () => {
    const point = proxy.hold('exists')
    touches.schedule('deleted', 2_000)
    await point.seen
    const again = waitForEvent(connection.client, 'ready')
    proxy.reset()
    await again
    await waitUntil(() => connection.ready)
    await isOnlyOneExpired()
  })

  it('a key that was deleted does not count as expired though Redis refuses the look', async () => {
    const refusals = proxy.count('replies', 'NOPERM')
    await redis.client.call('ACL', 'SETUSER', 'default', '-exists')
    touches.schedule('deleted', 2_000)
    await waitUntil(() => refusals.seen > 0)
    await redis.client.call('ACL', 'SETUSER', 'default', '+exists')
    await isOnlyOneExpired()
  })

  it('a key that was deleted does not count as expired where events stop arriving after it was found, and one that expires does', async () => {
    isDeaf = false
    await redis.client.set('expiring', '1', 'PX', 1_000)
    touches.schedule('deleted', 1_000)
    touches.schedule('expiring', 1_000)
    isDeaf = true
    await waitUntil(() => expired.length > 0)
    assert.deepEqual(expired, ['expiring'])
  })

  it('a key that expires while Redis does not answer counts as expired once it answers and it is known that events do not arrive', async () => {
    await redis.client.set('expiring', '1', 'PX', 2_000)
    await redis.client.set('existing', '1', 'PX', 60_000)
    for (const key of ['expiring', 'existing']) touches.schedule(key, 2_000)
    proxy.refuse()
    isDeaf = undefined
    await waitUntil(async () => (await redis.client.exists('expiring')) === 0)
    proxy.pass()
    await waitUntil(() => connection.ready)
    assert.deepEqual(expired, [])
    isDeaf = true
    await waitUntil(() => expired.length > 0)
    assert.deepEqual(expired, ['expiring'])
  })
})
