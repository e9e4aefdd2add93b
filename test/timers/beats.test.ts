import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { Presence } from '../../lib/redis/presence.js'
import { VERSION } from '../../lib/version.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

describe('the beats of a process', () => {
  let shop: Shop<OneOfEach>

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
  })

  afterEach(() => shop.close())

  const seen = async () => {
    const { redis, keys } = runtimeOf(shop.timers)
    return (await new Presence((redis as NonNullable<typeof redis>).connection, keys).read(1000)).processes
  }

  it('tell who a worker is: host, process, version, rules and Redis; and its end', async () => {
    const worker = await shop.worker()
    const [record] = await waitUntil(async () => ((await seen()).length === 1 ? seen() : undefined))
    const {
      id,
      startedAt,
      rules,
      redis,
      redisData: _,
      databases: __,
      ageMs,
      clockMs,
      beatAt,
      ...rest
    } = record as NonNullable<typeof record>
    assert.deepEqual(rest, { host: hostname(), pid: process.pid, version: VERSION, role: 'worker' })
    assert.deepEqual([id, redis], [runtimeOf(shop.timers).identity.id, runtimeOf(shop.timers).redis?.connection.where])
    assert.deepEqual(Object.keys(rules).sort(), Object.keys(oneOfEach(shop.database)).sort())
    assert.ok(Math.abs(startedAt - performance.timeOrigin) < 1 && ageMs < 5_000 && Math.abs(clockMs) < 1_000 && beatAt > 0, String(ageMs))
    await worker.stop()
    assert.deepEqual(await seen(), [])
  })
})
