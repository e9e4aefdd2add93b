// `afterCommit` is redelivered from Postgres, so it waits for nothing of Redis's.

import assert from 'node:assert/strict'
import { transition } from '../../lib/index.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { RedisServer } from '../support/redis-server.js'
import { openShop } from '../support/shop.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'
import { EVERY_SECOND, shipUnarmed } from './confirming.js'

describe('While Redis refuses every arming', () => {
  it('a failed "afterCommit" is redelivered by the next sweep that it is due in', async () => {
    const redis = await RedisServer.start()
    const keys: string[] = []
    const afterCommit = (_orders: unknown, { idempotencyKeys }: { idempotencyKeys: string[] }) => {
      keys.push(...idempotencyKeys)
      if (keys.length === 1) throw new Error('no mail')
    }
    const rules = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', history: true, afterCommit } as const
    const shop = await openShop(({ Order }) => ({ order_confirm: transition(Order, rules) }), { redisUrl: redis.url })
    for (const sql of History.createSql(HISTORY_TABLE)) await shop.database.client.query(sql)
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await shop.redis.client.config('SET', 'maxmemory', '1')
    await waitUntil(() => worker.health().faults.some(({ code }) => code === 'REDIS_REFUSES'))
    // Each sweep tries to arm what comes due before the one after next, and is refused. Only the first order fails to be told.
    const failed = waitForEvent(worker, 'failed')
    await shipUnarmed(shop.database, 1, 0)
    await failed
    for (let dueInMs = 500; dueInMs <= 6000; dueInMs += 250) await shipUnarmed(shop.database, 1, dueInMs)
    // Due a second later, and a sweep each second.
    await waitUntil(() => keys.filter((key) => key === keys[0]).length === 2, { within: 3500 })
    assert.ok(worker.health().faults.some(({ code }) => code === 'REDIS_REFUSES'))
    await shop.close()
    await redis.stop()
  }).timeout(15_000)
})
