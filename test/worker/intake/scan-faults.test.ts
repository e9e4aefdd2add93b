// A scan for external keys that Redis refuses, as a whole or one of its commands.

import assert from 'node:assert/strict'
import { scripts } from '../../../lib/redis/script-calls.js'
import type { RuntimeRedis } from '../../../lib/timers/runtime.js'
import { RedisServer } from '../../support/redis-server.js'
import { runtimeOf } from '../../support/runtime.js'
import { openShop } from '../../support/shop.js'
import { oneOfEach } from '../../support/shop-rules.js'
import { waitForEvent, waitUntil } from '../../support/waiting.js'

describe('a refused scan for keys that other services set', () => {
  let server: RedisServer

  afterEach(() => server.stop())

  const open = async (args: string[] = []) => {
    server = await RedisServer.start(args)
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    const worker = await shop.worker({ fallback: false })
    const fault = () => waitUntil(() => worker.health().faults.find(({ code }) => code === 'SCAN_REFUSED'), { within: 8_000 })
    return { shop, worker, fault }
  }

  for (const command of ['scan', 'pexpire', 'pttl']) {
    it(`is a fault that names the right +${command}, told once, and over when it is granted`, async () => {
      const { shop, worker, fault } = await open()
      const { client } = shop.redis
      const scans = () => worker.health().redis?.externalScans as number
      await waitUntil(() => scans() > 0)
      await client.call('ACL', 'SETUSER', 'default', `-${command}`)
      const { message, remedy } = await fault()
      assert.match(message, /refuses the scan for keys that other services set/)
      assert.equal(remedy, `allow this user +${command}; docs/redis.md lists all rights that it needs`)
      assert.equal(await client.exists(runtimeOf(shop.timers).keys.scannerLock), 0, 'the lock is left to other workers')
      await waitUntil(() => worker.health().redis?.events)
      const before = scans()
      const over = waitForEvent(worker, 'recovered')
      await client.call('ACL', 'SETUSER', 'default', '+@all')
      await over
      await waitUntil(() => scans() > before)
      assert.deepEqual(
        worker.faultsTold.map(({ code }) => code),
        ['SCAN_REFUSED'],
      )
      await shop.close()
    }).timeout(40_000)
  }

  it('is a fault where the command is renamed', async () => {
    const { shop, fault } = await open(['--rename-command', 'SCAN', 'OUR_SCAN'])
    assert.match((await fault()).message, /unknown.*command.*\(scan\).*do not rename this command/i)
    await shop.close()
  }).timeout(30_000)
})

describe('a scan for keys of ten thousand kinds', () => {
  it('finds that of the last', async () => {
    const shop = await openShop(oneOfEach)
    const { connection, pulse } = runtimeOf(shop.timers).redis as RuntimeRedis
    await connection.connected(5_000)
    const key = shop.key('kind_9999:34')
    await shop.redis.client.set(key, '1', 'PX', 60_000)
    const patterns = Array.from({ length: 10_000 }, (_, i) => [shop.key(`kind_${i}:`), '']).flat()
    const lock = shop.key('lock')
    const found = async (answer: Promise<unknown>) => String(await answer).includes(key)
    assert.ok(
      await found(connection.ask((client) => scripts(client).orderTimersExternal(JSON.stringify([key]), 3_600_000, lock, ...patterns))),
    )
    const step = [lock, 'a worker', 10_000, '0', 1_000_000, 3_600_000, ...patterns]
    assert.ok(await found(connection.ask((client) => scripts(client).orderTimersScan(...step))))
    const first = [lock, 'a worker', 10_000, 1_000_000, 3_600_000, ...patterns]
    const { scanned } = await pulse.send({ kinds: [], partition: 0, isThorough: false, scan: first })
    assert.ok(scanned?.found.some(([name]) => name === key))
    await shop.close()
  })
})
