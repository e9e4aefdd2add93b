import assert from 'node:assert/strict'
import { RedisConnection } from '../../lib/redis/connection.js'
import type { RedisSource } from '../../lib/redis/single-source.js'
import { parseRedisSource } from '../../lib/redis/source.js'
import { CLIENTS } from '../support/ioredis-versions.js'
import { RedisServer } from '../support/redis-server.js'
import { waitForEvent } from '../support/waiting.js'

describe('a connection whose user Redis refuses, where the default user may do everything', () => {
  for (const [name, Client] of Object.entries(CLIENTS)) {
    it(`is never ready, and tries again more and more rarely, with ${name}`, async () => {
      const server = await RedisServer.start()
      const client = new Client({ port: server.port, username: 'shop', password: 'wrong', lazyConnect: true })
      const connection = new RedisConnection(parseRedisSource(client) as RedisSource, 'test')
      let ready = 0
      connection.client.on('ready', () => {
        ready += 1
      })
      connection.open()
      await waitForEvent(connection.client, 'reconnecting', { where: (delayMs) => Number(delayMs) > 200 })
      assert.equal(ready, 0)
      connection.close()
      await server.stop()
    })
  }
})
