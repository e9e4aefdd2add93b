import assert from 'node:assert/strict'
import { RedisConnection } from '../../lib/redis/connection.js'
import { assertUsable, readSettings } from '../../lib/redis/server.js'
import type { RedisSource } from '../../lib/redis/single-source.js'
import { parseRedisSource } from '../../lib/redis/source.js'
import { RedisServer } from '../support/redis-server.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'

describe('a connection to Redis', () => {
  it('is ready on a server whose INFO and CONFIG were renamed', async () => {
    const server = await RedisServer.start(['INFO', 'CONFIG'].flatMap((name) => ['--rename-command', name, `OUR_${name}`]))
    const connection = new RedisConnection(parseRedisSource(server.url) as RedisSource, 'test')
    const down: unknown[] = []
    connection.onDown((error) => down.push(error))
    await connection.connected(5_000)
    await assertUsable(connection)
    assert.deepEqual(await readSettings(connection), { notifications: undefined, eviction: undefined })
    assert.deepEqual(down, [])
    connection.close()
    await server.stop()
  })

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

  it('that is closed without a word says so, and has a better reason as soon as there is one', async () => {
    const server = await RedisServer.start()
    const connection = new RedisConnection(parseRedisSource(server.url) as RedisSource, 'test')
    await connection.connected(5000)
    const down: unknown[] = []
    connection.onDown((error) => down.push(error))
    const closed = waitForEvent(connection.client, 'close')
    await server.kill()
    await closed
    const error = await connection
      .run(100, (client) => client.ping())
      .then(
        () => assert.fail('it was answered'),
        (cause: Error) => cause,
      )
    assert.match(error.message, /does not answer \((the connection was closed|ECONNREFUSED|ECONNRESET)\); check that it runs/)
    assert.ok(error.cause instanceof Error)
    assert.match(String(down[0]), /the connection was closed|ECONN/)
    await waitUntil(() => /ECONNREFUSED/.test(String(down.at(-1))))
    connection.close()
    await server.stop()
  })

  it('that is closed before the answer says so, and not what ioredis calls that', async () => {
    const server = await RedisServer.start()
    const connection = new RedisConnection(parseRedisSource(server.url) as RedisSource, 'test')
    await connection.connected(5000)
    const other = new RedisConnection(parseRedisSource(server.url) as RedisSource, 'test')
    await other.connected(5000)
    const answer = connection.run(1000, (client) => client.blpop('none', 10))
    const ended = assert.rejects(answer, ({ message, cause }: Error) => {
      assert.match(`${message} ${cause}`, /does not answer \((the connection was closed|ECONNRESET)\); check that it runs/)
      assert.doesNotMatch(`${message} ${cause}`, /maxRetries/)
      return true
    })
    await other.ask((client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))
    await ended
    for (const one of [connection, other]) one.close()
    await server.stop()
  })

  it('that was never made has a cause too', async () => {
    const connection = new RedisConnection(parseRedisSource('redis://127.0.0.1:1') as RedisSource, 'test')
    await assert.rejects(
      connection.run(1, (client) => client.ping()),
      ({ message, cause }: Error) => /does not answer \(.+\)/.test(message) && cause instanceof Error,
    )
    connection.close()
  })
})
