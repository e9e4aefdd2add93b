import assert from 'node:assert/strict'
import type { RedisConnection } from '../../lib/redis/connection.js'
import { assertUsable, publishesExpiry, withExpiryEvents } from '../../lib/redis/server.js'
import { refusal, refused } from '../support/refused.js'

/** A connection to a Redis that cannot be had here: one of another version. */
const redisThatSays = (info: string) =>
  ({ ask: async () => [info], where: '127.0.0.1:6379 db 0', topology: 'server', client: {} }) as unknown as RedisConnection

describe('a Redis', () => {
  it('must be 6.2 or later', async () => {
    for (const version of ['5.0.14', '6.0.16', '6.1.240']) {
      const message = `orderTimers: Redis at 127.0.0.1:6379 db 0 cannot serve: Redis ${version.split('.').slice(0, 2).join('.')} is too old; 6.2 or later is needed`
      assert.deepEqual(
        await refused(() => assertUsable(redisThatSays(`redis_version:${version}\r\n`))),
        refusal('REDIS_UNUSABLE', 503, message),
      )
    }
    for (const version of ['6.2.0', '7.0.15', '8.4.0', '10.0.1'])
      await assertUsable(redisThatSays(`redis_version:${version}\r\nrole:master\r\n`))
  })

  it('is taken as it is where INFO is refused', async () => {
    const refuses = { client: {}, ask: () => Promise.reject(new Error('NOPERM this user has no permissions to run the info command')) }
    await assertUsable(refuses as unknown as RedisConnection)
  })

  it('publishes expiry with E and x, or with A that stands for it', () => {
    for (const flags of ['Ex', 'xE', 'AE', 'AKE', 'KExg']) assert.ok(publishesExpiry(flags), flags)
    for (const flags of ['', 'Kx', 'Eg', 'AK', 'x', 'E']) assert.ok(!publishesExpiry(flags), flags)
  })

  it('keeps all flags that are set where those of expiry are added', () => {
    const added = ['', 'Kg', 'Kx', 'Eg', 'AK', 'Ex'].map(withExpiryEvents)
    assert.deepEqual(added, ['Ex', 'KgEx', 'KxE', 'Egx', 'AKE', 'Ex'])
    for (const flags of added) assert.ok(publishesExpiry(flags), flags)
  })
})
