import assert from 'node:assert/strict'
import { RedisConnection } from '../../lib/redis/connection.js'
import type { RedisSource } from '../../lib/redis/single-source.js'
import { parseRedisSource } from '../../lib/redis/source.js'
import { CLIENTS } from '../support/ioredis-versions.js'
import { RedisServer } from '../support/redis-server.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { holdsFor, waitForEvent } from '../support/waiting.js'

describe('a connection that is lost while a command is unanswered', () => {
  for (const [name, Client] of Object.entries(CLIENTS)) {
    it(`is followed by one that stays, with ${name}`, async () => {
      const server = await RedisServer.start()
      const proxy = await TcpProxy.start(server.port)
      const client = new Client({ port: proxy.port, lazyConnect: true })
      const connection = new RedisConnection(parseRedisSource(client) as RedisSource, 'test')
      await connection.connected(5000)
      const again = waitForEvent(connection.client, 'ready')
      const unanswered = connection.ask((redis) => redis.blpop('t:never', 0))
      proxy.reset()
      await assert.rejects(unanswered)
      await again
      let closed = 0
      connection.client.on('close', () => {
        closed += 1
      })
      await holdsFor(2000, () => closed === 0) // longer than `socketTimeout`
      connection.close()
      await proxy.stop()
      await server.stop()
    })
  }
})
