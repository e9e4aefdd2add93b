// The doctor where commands of Redis are renamed, which hides no right that is missing as well.

import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import { doctor } from '../../../lib/admin/doctor/doctor.js'
import { RedisServer } from '../../support/redis-server.js'
import { runtimeOf } from '../../support/runtime.js'
import { openShop } from '../../support/shop.js'
import { oneOfEach } from '../../support/shop-rules.js'

describe('The doctor, where Redis has renamed', () => {
  const look = async (renamed: string[], ...rights: string[]) => {
    const server = await RedisServer.start(renamed.flatMap((name) => ['--rename-command', name, `OUR_${name}`]))
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    await shop.worker({ fallback: false })
    const admin = new Redis(server.port, { enableReadyCheck: false }) // which sends INFO
    await admin.call('ACL', 'SETUSER', 'default', ...rights)
    admin.disconnect()
    const { findings } = await doctor(runtimeOf(shop.timers))
    await shop.close()
    await server.stop()
    const finding = findings.find(({ name }) => name === 'redis.rights')
    const without = findings.filter((one) => /INFO/.test(one.found) && one.name !== 'redis.rights')
    return { verdict: finding?.verdict, found: finding?.found ?? '', remedies: finding?.remedies.map(({ text }) => text), without }
  }

  it('SCAN and INFO, says so of both, and names the rights that are missing', async () => {
    const { verdict, found, remedies } = await look(['SCAN', 'INFO'], '-hmget')
    assert.equal(verdict, 'wrong')
    assert.match(found, /^it lacks \+hmget; /)
    assert.match(found, /(INFO, SCAN|SCAN, INFO) do not exist here \(renamed\?\), so keys that other services set are not found/)
    assert.equal(remedies?.[0], 'ACL SETUSER default +hmget')
    assert.match(remedies?.[1] ?? '', /do not rename this command/)
  }).timeout(30_000)

  it('INFO, finds nothing wrong with the rights', async () => {
    const { verdict, found, without } = await look(['INFO'])
    assert.deepEqual([verdict, found], ['fine', 'it may; INFO does not exist here (renamed?), and timers work without'])
    assert.ok(without.length >= 4)
    for (const { found: why, remedies } of without) {
      assert.match(why, /^INFO does not exist here \(renamed\?\)/)
      assert.ok(!remedies.some(({ text }) => text.includes('+info')), 'a right brings back no command')
    }
  }).timeout(30_000)
})
