// What is counted for metrics while a server is in trouble, and of rules that settle nothing by the shop's wish.

import assert from 'node:assert/strict'
import { transition } from '../../lib/index.js'
import { Counting, pauseAfter } from '../../lib/metrics/counting.js'
import type { Database } from '../support/database.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop } from '../support/shop.js'

const rules = ({ Order }: Database) => ({
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 1 }),
  order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
})

describe('counting for metrics', () => {
  let shop: Shop<ReturnType<typeof rules>>

  afterEach(() => shop.close())

  it('goes on half a minute after an outage, however long it waited for a connection, and within two minutes of anything', async () => {
    shop = await openShop(rules, { database: { pool: { max: 1, acquire: 1_500 } } })
    const { sequelize } = shop.database
    const holder = await sequelize.transaction()
    await sequelize.query('SELECT 1', { transaction: holder })
    const counting = new Counting(runtimeOf(shop.timers))
    const begunAt = performance.now()
    await counting.count()
    const waitedMs = performance.now() - begunAt
    await holder.rollback()
    assert.ok(waitedMs > 2_500, `each rule waited for a connection: ${waitedMs} ms in all`)
    assert.deepEqual([counting.orders.size, counting.pauseMs], [0, 30_000])
    await counting.count()
    assert.deepEqual([...counting.orders.keys()], ['order_confirm', 'order_pay'])

    assert.deepEqual([0, 600, 1_000, 60_000].map(pauseAfter), [30_000, 30_000, 50_000, 120_000])
  })

  it('rests for longer where its statements take long', async () => {
    shop = await openShop(rules)
    const counting = new Counting(runtimeOf(shop.timers))
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE orders')
    await counting.count() // each waits for the lock, 300 ms
    await holder.query('ROLLBACK')
    assert.ok(counting.pauseMs > 30_000 && counting.pauseMs <= 120_000, String(counting.pauseMs))
  })
})
