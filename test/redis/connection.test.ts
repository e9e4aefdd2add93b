import assert from 'node:assert/strict'
import { RedisConnection } from '../../lib/redis/connection.js'
import type { RedisSource } from '../../lib/redis/single-source.js'
import { parseRedisSource } from '../../lib/redis/source.js'
import { RedisServer } from '../support/redis-server.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'

describe('a connection to Redis', () => {
  it('that answers READONLY is replaced once, however many commands fail, since the name may lead to the primary', async () => {
    const server = await RedisServer.start(['--replicaof', '127.0.0.1 1'])
    const connection = new RedisConnection(parseRedisSource(server.url) as RedisSource, 'test')
    await connection.connected(5000)
    let closed = 0
    const down: unknown[] = []
    connection.onDown((error) => down.push(error))
    connection.client.on('close', () => {
      closed += 1
    })
    const warnings: string[] = []
    const onWarning = ({ name }: Error) => warnings.push(name)
    process.on('warning', onWarning)
    for (const times of [1, 2]) {
      const again = waitForEvent(connection.client, 'ready')
      const writes = Array.from({ length: 50 }, (_, i) => connection.ask((client) => client.set('key', i)))
      const refusals = await Promise.allSettled(writes)
      assert.match(String((refusals[0] as PromiseRejectedResult).reason), /READONLY/)
      await again
      await waitUntil(() => connection.ready)
      assert.equal(closed, times)
    }
    assert.deepEqual([down.length, warnings], [2, []])
    assert.match(String(down[0]), /READONLY/)
    process.off('warning', onWarning)
    connection.close()
    await server.stop()
  })
})
