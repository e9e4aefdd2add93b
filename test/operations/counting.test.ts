// What is counted for metrics while a server is in trouble, and of rules that settle nothing by the shop's wish.

import assert from 'node:assert/strict'
import { transition } from '../../lib/index.js'
import { type CountedOrders, Counting, pauseAfter } from '../../lib/metrics/counting.js'
import { type Database, openDatabase, sequelizeOn } from '../support/database.js'
import { bury } from '../support/dead-letters.js'
import { defineOrder } from '../support/order.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const rules = ({ Order }: Database) => ({
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 1 }),
  order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
})

const overdue = { status: 4, confirmDueAt: new Date(Date.now() - 3_600_000) }

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

  it('keeps dead letters and orders that are tried again apart from overdue ones while Redis is down', async () => {
    const server = await RedisServer.start()
    shop = await openShop(rules, { redisUrl: server.url })
    const { failures } = runtimeOf(shop.timers).keys.sets('order_confirm')
    const [dead, retrying] = [await shop.order(overdue), await shop.order(overdue)]
    await bury(shop.redis.client, failures, [dead])
    await shop.redis.client.hset(failures, retrying, JSON.stringify({ attempts: 1, error: 'no stock', at: '', dead: false }))
    const counting = new Counting(runtimeOf(shop.timers))
    const fresh = new Counting(runtimeOf(shop.timers))
    const counted = async (one: Counting) => {
      await one.count()
      const { states, oldestOverdueMs } = one.orders.get('order_confirm') as CountedOrders
      return { dead: states.dead, retrying: states.retrying, overdue: states.overdue, isOverdue: oldestOverdueMs > 0 }
    }
    const apart = { dead: 1, retrying: 1, overdue: 0, isOverdue: false }
    assert.deepEqual(await counted(counting), apart)
    await server.kill()
    await waitUntil(() => runtimeOf(shop.timers).redis?.connection.serving === false)
    assert.deepEqual(await counted(counting), apart)
    assert.deepEqual(await counted(fresh), { dead: undefined, retrying: 0, overdue: 2, isOverdue: true }) // it knows of none, and says no 0
    await server.restart()
    await shop.close()
    await server.stop()
  })

  it('has the clock of the database that differs most, and not of the one that was read last', async () => {
    shop = await openShop(rules)
    const ahead = await openDatabase()
    const { client, schema, url } = ahead
    const moved = `SELECT pg_catalog.clock_timestamp() + interval '30 s'`
    await client.query(`CREATE FUNCTION ${schema}.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ ${moved} $$`)
    const sequelize = sequelizeOn(url, schema, {}, { search_path: `${schema},pg_catalog` })
    const timers = makeTimers(
      {
        order_pay: transition(defineOrder(sequelize), { from: 1, to: 0, since: 'createdAt', after: '15m' }),
        order_confirm: transition(shop.database.Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
      },
      { redis: false },
    )
    const counting = new Counting(runtimeOf(timers))
    await counting.count()
    assert.deepEqual([...counting.orders.keys()], ['order_pay', 'order_confirm'])
    assert.equal(Math.round((counting.postgresSkewMs ?? 0) / 1_000), 30)
    await timers.close()
    await sequelize.close()
    await ahead.close()
  })

  it('does not count as overdue what a rule with dryRun leaves', async () => {
    shop = await openShop((database) => ({
      ...rules(database),
      order_pay: transition(database.Order, { from: 1, to: 0, since: 'createdAt', after: '15m', dryRun: true }),
    }))
    await shop.order({ status: 1, createdAt: overdue.confirmDueAt })
    await shop.order(overdue)
    const counting = new Counting(runtimeOf(shop.timers))
    await counting.count()
    const states = (kind: string) => {
      const { states, oldestOverdueMs } = counting.orders.get(kind) as CountedOrders
      return [states.overdue, states.held, oldestOverdueMs > 0]
    }
    assert.deepEqual(
      [states('order_pay'), states('order_confirm')],
      [
        [0, 1, false],
        [1, 0, true],
      ],
    )
  })
})
