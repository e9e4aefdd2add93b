import assert from 'node:assert/strict'
import { listActions } from '../../../lib/admin/actions/list.js'
import { staleSweepAct } from '../../../lib/admin/actions/sweep.js'
import { viewOrder } from '../../../lib/admin/order-view.js'
import { actedText } from '../../../lib/cli/acts-text.js'
import { transition } from '../../../lib/index.js'
import { HOLDS_TABLE, Holds } from '../../../lib/rows/holds.js'
import { runtimeOf } from '../../support/runtime.js'
import { makeTimers } from '../../support/shop.js'
import { openActingShop, SUPPORT } from './acting.js'

const CONFIRM = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' } as const

describe('an action and its record', () => {
  it('says why a worker does not settle at once what was made due', async () => {
    const shop = await openActingShop(({ Order }) => ({
      order_confirm: transition(Order, CONFIRM),
      order_try: transition(Order, { from: 2, to: 0, since: 'createdAt', after: '1m', dryRun: true }),
    }))
    for (const sql of Holds.createSql(HOLDS_TABLE)) await shop.database.client.query(sql)
    const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() + 3_600_000) })
    const free = await shop.act('settle', [{ id }])
    assert.deepEqual([free.count, free.stopped], [1, undefined])
    assert.match(actedText(free), /; a worker settles it at once$/)
    await shop.timers.hold('order_confirm', { reason: 'no\npayments' })
    const held = await shop.act('settle', [{ id }])
    assert.equal(held.count, 1)
    assert.match(actedText(held), /^order_confirm \d+: due now, was due \S+; the rule is held since \S+ \(no payments\)$/)
    const due = await shop.order({ status: 2, createdAt: new Date(Date.now() - 3_600_000) })
    assert.match((await shop.act('settle', [{ id: due }], { kind: 'order_try' })).stopped ?? '', /"dryRun"/)
    await shop.close()
  })

  it('ends in the record if another one could not begin', async () => {
    const shop = await openActingShop(({ Order }) => ({
      order_confirm: transition(Order, CONFIRM),
      order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    }))
    const { client } = shop.database
    await client.query(`ALTER TABLE order_timers_actions ADD CHECK (kind <> 'order_pay')`)
    await assert.rejects(staleSweepAct(shop.runtime, {}, SUPPORT))
    const [entry] = await shop.recorded()
    assert.deepEqual([entry?.action, entry?.kind, entry?.state], ['sweep --stale', 'order_confirm', 'failed'])
    await shop.close()
  })

  it('is found in the database of its rule', async () => {
    const [one, two] = await Promise.all([
      openActingShop(({ Order }) => ({ order_confirm: transition(Order, CONFIRM) })),
      openActingShop(({ Order }) => ({ order_confirm: transition(Order, CONFIRM) })),
    ])
    const rules = { order_confirm: transition(one.database.Order, CONFIRM), order_return: transition(two.database.Order, CONFIRM) }
    const timers = makeTimers(rules, { redis: two.redis.url, prefix: two.redis.prefix })
    const id = await two.order({ status: 4, confirmDueAt: new Date(Date.now() + 3_600_000) })
    await two.act('extend', [{ id }], { by: '1h' })
    const runtime = runtimeOf(timers)
    const names = async (query: object) => (await listActions(runtime, query)).actions.map(({ action }) => action)
    assert.deepEqual([await names({}), await names({ order: String(id) })], [[], ['extend']])
    await two.database.client.query(`UPDATE order_timers_actions SET kind = 'order_return'`)
    assert.deepEqual(await names({ kind: 'order_return' }), ['extend'])
    const { actions } = await viewOrder(runtime, String(id))
    assert.deepEqual(
      actions?.map(({ action }) => action),
      ['extend'],
    )
    await timers.close()
    await Promise.all([one.close(), two.close()])
  })
})
