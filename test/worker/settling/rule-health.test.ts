// Failures that are not the rule's: ours, and statements that cannot run. Nothing is counted, and nothing is lost.

import assert from 'node:assert/strict'
import { OrderTimersError } from '../../../lib/errors.js'
import { transition } from '../../../lib/index.js'
import { toLog } from '../../../lib/logger.js'
import type { BoundRule } from '../../../lib/rules/rule.js'
import { Faults } from '../../../lib/worker/faults.js'
import { Lanes } from '../../../lib/worker/settling/lanes.js'
import { RuleHealth } from '../../../lib/worker/settling/rule-health.js'
import { type Database, openDatabase, sequelizeOn } from '../../support/database.js'
import { defineOrder } from '../../support/order.js'
import { refused } from '../../support/refused.js'
import { runtimeOf } from '../../support/runtime.js'
import { makeTimers, openShop } from '../../support/shop.js'
import { waitUntil } from '../../support/waiting.js'

const confirm = ({ Order }: Pick<Database, 'Order'>) => ({
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
})

describe('A fault of the package itself', () => {
  it('is told as INTERNAL with its cause, counts no attempt, and is over when a batch is settled', async () => {
    const shop = await openShop(confirm)
    // No server makes our own code throw, so the rule that the worker settles is one that does.
    const rule = runtimeOf(shop.timers).rule('order_confirm')
    const { settle } = rule
    let broken = true
    Object.assign(rule, {
      settle: (...work: Parameters<typeof settle>) =>
        broken ? Promise.reject(new TypeError('queries.update is not a function')) : settle(...work),
    })
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const ids = [await shop.order({ status: 4 }), await shop.order({ status: 4 })] as const
    for (const id of ids) await shop.timers.schedule('order_confirm', id, { after: 20 })
    const fault = await waitUntil(() => worker.health().faults.find(({ code }) => code === 'INTERNAL'))
    assert.equal(fault.kind, 'order_confirm')
    assert.equal(fault.cause, 'queries.update is not a function')
    assert.ok(fault.remedy)
    broken = false
    await waitUntil(async () => (await Promise.all(ids.map(shop.statusOf))).every((status) => status === 5))
    await waitUntil(() => worker.health().faults.length === 0)
    const { failed, dead } = worker.health().kinds.order_confirm ?? {}
    assert.deepEqual([failed, dead], [0, 0])
    await shop.close()
  })
})

describe('A rule whose statements cannot run', () => {
  it('is over also for a rule that no sweep reads, as soon as it can run again', async () => {
    const shop = await openShop(({ Order }: Pick<Database, 'Order'>) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: false, after: '24h', set: { note: 'lapsed' } }),
    }))
    const { client } = shop.database
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await client.query('ALTER TABLE orders RENAME COLUMN note TO remark')
    const fault = await waitUntil(() => worker.health().faults.find(({ code }) => code === 'INVALID_MODEL'))
    assert.match(fault.message, /"note"/)
    await client.query('ALTER TABLE orders RENAME COLUMN remark TO note')
    await waitUntil(() => worker.health().faults.length === 0)
    const order = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', order, { after: 20 })
    await waitUntil(async () => (await shop.statusOf(order)) === 5)
    await shop.close()
  })

  const parts = () => {
    const rule = { kind: 'order_confirm', runsOwnCode: false } as unknown as BoundRule
    const lanes = new Lanes([rule], () => 1)
    const faults = new Faults({ emitSafely() {} }, toLog(false))
    return { rule, lanes, faults, health: new RuleHealth(faults, lanes) }
  }
  const failed = Object.assign(new Error('column "x" does not exist'), { name: 'SequelizeDatabaseError', parent: { code: '42703' } })

  it('is over after two checks that find nothing wrong, where nothing explains why a statement failed', async () => {
    const { rule, faults, health } = parts()
    await health.failed(rule, 'configuration', failed)
    health.checkPassed(rule.kind)
    assert.equal(faults.has('INVALID_MODEL', rule.kind), true)
    await health.failed(rule, 'configuration', failed)
    health.checkPassed(rule.kind)
    assert.equal(faults.has('INVALID_MODEL', rule.kind), true)
    health.checkPassed(rule.kind)
    assert.equal(faults.has('INVALID_MODEL', rule.kind), false)
  })

  it('is over when a batch is settled after its rest, where no sweep checks it', () => {
    const { rule, lanes, faults, health } = parts()
    health.checkFailed(rule.kind, [new OrderTimersError('INVALID_MODEL', 'there is no table')])
    health.settled(rule) // of a batch that had begun before
    assert.equal(faults.has('INVALID_MODEL', rule.kind), true)
    lanes.of(rule).resume() // as its minute's end does
    health.settled(rule)
    assert.equal(faults.has('INVALID_MODEL', rule.kind), false)
  })
})

describe('A right that is missing', () => {
  it('is INVALID_MODEL with the GRANT, from check() and from a call', async () => {
    const { client, schema, url, close } = await openDatabase()
    const role = `role_${schema}`
    await client.query(`CREATE ROLE ${role}; GRANT USAGE ON SCHEMA ${schema} TO ${role}; GRANT SELECT ON orders TO ${role}`)
    const sequelize = sequelizeOn(url, schema, {}, { role })
    const timers = makeTimers(confirm({ Order: defineOrder(sequelize) }), { redis: false, logger: false })
    for (const call of [() => timers.check(), () => timers.schedule('order_confirm', 1)]) {
      const { code, status, message } = await refused(call)
      assert.deepEqual([code, status], ['ERR_ORDER_TIMERS_INVALID_MODEL', 500])
      assert.match(message, /permission denied for table orders.*GRANT SELECT(?:, UPDATE)? ON/)
      assert.doesNotMatch(message, /try again/)
    }
    await client.query(`GRANT UPDATE ON orders TO ${role}`)
    await timers.check()
    await timers.close()
    await sequelize.close()
    await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    await close()
  })
})
