// Redis by a socket's path, and by a URL with a user, a password, a db and a key prefix: orders are settled over each.

import { join } from 'node:path'
import { Redis } from 'ioredis'
import { confirmed, confirming, ship } from '../faults/confirming.js'
import { RedisServer } from '../support/redis-server.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const SECRET = 'p#/?@%, s'

/** How a shop gives it, by the server's port and the path of its socket. */
const FORMS: Record<string, (port: number, socket: string) => string | object> = {
  'the path of a socket': (_port, socket) => socket,
  'the URL of a socket with a db': (_port, socket) => `unix://${socket}?db=2`,
  'options with the path of a socket': (_port, path) => ({ path }),
  'a URL with user, password, db and keyPrefix': (port) =>
    `redis://shop:${encodeURIComponent(SECRET)}@127.0.0.1:${port}/1?keyPrefix=${encodeURIComponent('our shop:')}`,
  'options with user, password, db and keyPrefix': (port) => ({
    ...{ host: '127.0.0.1', port, username: 'shop', password: SECRET, db: 1, keyPrefix: 'our shop:' },
  }),
}

describe('Redis given as', () => {
  let server: RedisServer

  before(async () => {
    server = await RedisServer.prepare()
    await server.restart(['--unixsocket', join(server.directory, 'redis.sock')])
    const admin = new Redis(server.url)
    await admin.call('ACL', 'SETUSER', 'shop', 'on', `>${SECRET}`, 'allkeys', 'allchannels', '+@all')
    admin.disconnect()
  })
  after(() => server.stop())

  for (const [title, form] of Object.entries(FORMS)) {
    it(`${title} serves timers, and its events arrive`, async () => {
      const shop = await openShop(confirming(), { redis: form(server.port, join(server.directory, 'redis.sock')) })
      const worker = await shop.worker({ fallback: false })
      await ship(shop, 3, 200)
      await confirmed(shop, 3)
      await waitUntil(() => worker.health().redis?.events && worker.health().status === 'ok')
      await shop.close()
    })
  }
})
