import assert from 'node:assert/strict'
import { viewOrder } from '../../lib/admin/order-view.js'
import { transition } from '../../lib/index.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { History } from '../../lib/rows/history.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { freePort } from '../support/free-port.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const HOUR_MS = 3_600_000

describe('one order, as an engineer sees it', () => {
  const open = async () => {
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, {
        ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 3, history: true, where: { total: 100 } },
        run: (orders) => {
          if (orders.some(({ note }) => note === 'fails')) throw new Error('no stock\nleft')
        },
      }),
      order_ship: transition(Order, { from: 2, to: 0, deadline: false, after: '24h' }),
    }))
    for (const sql of History.createSql('order_timers_history')) await shop.database.client.query(sql)
    const runtime = runtimeOf(shop.timers)
    const order = (dueInMs: number | null, values: object = {}) =>
      shop.order({ status: 4, total: 100, confirmDueAt: dueInMs === null ? null : new Date(Date.now() + dueInMs), ...values })
    const confirm = async (id: number) => {
      const [rule] = (await viewOrder(runtime, String(id))).rules
      assert.ok(rule)
      return rule
    }
    return { shop, runtime, order, confirm }
  }

  it('says its state, what comes next and what to type, and that no worker is alive where one is needed', async () => {
    const { shop, runtime, order, confirm } = await open()
    const seen = async (id: number) => {
      const { state, next, command } = await confirm(id)
      return [state, next.replace(/\d{4}-\S+Z/, 'TIME'), command]
    }
    const without = '; but no worker is alive'
    assert.deepEqual(await seen(await order(-HOUR_MS)), [
      'overdue',
      `settled by the next sweep at the latest${without}`,
      'order-timers status',
    ])
    const stale = await order(-8 * 24 * HOUR_MS)
    assert.deepEqual(await seen(stale), [
      ...['stale', 'nothing: it is overdue by more than "staleAfter"', 'order-timers sweep --stale --kind order_confirm'],
    ])
    assert.deepEqual(await seen(await order(null)), [
      'undated',
      'nothing: it has no deadline; schedule() or "backfill" gives it one',
      undefined,
    ])
    assert.match(String((await seen(await order(-HOUR_MS, { total: 1 })))[1]), /^nothing: "where" or a pause holds it back/)
    const gone = await order(HOUR_MS, { status: 5 })
    assert.match(String((await seen(gone))[1]), /^nothing: the rule applies to "4"/)
    assert.deepEqual((await seen(9_999)).slice(0, 2), ['gone', 'nothing: there is no such order'])
    const locked = await order(-HOUR_MS)
    const session = await shop.database.connect()
    await session.query('BEGIN')
    await session.query(`UPDATE orders SET total = total WHERE id = ${locked}`)
    const held = await confirm(locked)
    assert.equal(held.state, 'locked')
    assert.match(held.next, /^settled once the transaction that has its row locked has ended \(pid \d+\)/)
    await session.query('ROLLBACK')
    const coming = await order(null)
    const { deadline } = await shop.timers.schedule('order_confirm', coming, { after: '1h' })
    const pending = await confirm(coming)
    assert.deepEqual([pending.state, pending.redis?.armed, pending.row?.deadline], ['pending', deadline, deadline?.getTime()])
    assert.match(pending.next, /^settled in 59 min, at /)
    const { rules } = await viewOrder(runtime, String(coming), 'order_ship')
    assert.deepEqual(
      rules.map(({ kind, state }) => [kind, state]),
      [['order_ship', 'none']],
    )
    await shop.close()
  })

  it('says how its attempts failed, when the next one is, and finally what happened to it', async () => {
    const { shop, order, confirm } = await open()
    const failing = await order(-60_000, { note: 'fails' })
    const settled = await order(-60_000)
    const worker = await shop.worker()
    await waitUntil(async () => (await confirm(failing)).state === 'retrying')
    const retrying = await confirm(failing)
    assert.match(retrying.next, /^attempt \d of 3 (in \d|now|by the next sweep)/)
    assert.equal(retrying.redis?.failure?.error, 'no stock\nleft')
    await waitUntil(async () => (await confirm(failing)).state === 'dead', { within: 30_000, every: 200 })
    const dead = await confirm(failing)
    assert.deepEqual(
      [dead.next, dead.command],
      ['nothing: it is a dead letter: the rule failed on it 3 times', `order-timers retry order_confirm ${failing}`],
    )
    const after = await confirm(settled)
    assert.equal(after.state, 'none')
    assert.deepEqual(
      after.history?.map(({ from, to, via, worker: by }) => [from, to, via, by]),
      [['4', '5', 'sweep', runtimeOf(shop.timers).identity.id]],
    )
    await worker.stop()
    await shop.close()
  }).timeout(60_000)

  it('says what stops the rule as a whole, also of orders that are still to come', async () => {
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, {
        ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', brake: { max: 1, per: '1h' } },
      }),
      order_try: transition(Order, { from: 2, to: 0, since: 'createdAt', after: '1m', dryRun: true }),
    }))
    const { client } = shop.database
    for (const sql of [...Brake.createSql(BRAKE_TABLE), ...Holds.createSql(HOLDS_TABLE)]) await client.query(sql)
    const order = (status: number, ms: number) => shop.order({ status, confirmDueAt: new Date(Date.now() + ms) })
    const seen = async (id: number, kind = 'order_confirm') => {
      const [rule] = (await viewOrder(runtimeOf(shop.timers), String(id), kind)).rules
      return String(rule?.next)
        .replace('; but no worker is alive', '')
        .replace(/\d{4}-\S+Z/g, 'TIME')
    }
    const [due, coming] = [await order(4, -60_000), await order(4, 2 * HOUR_MS)]
    assert.equal(
      await seen(await shop.order({ status: 2, createdAt: new Date(Date.now() - HOUR_MS) }), 'order_try'),
      'nothing: the rule has "dryRun", and settles nothing',
    )
    await client.query(`INSERT INTO ${BRAKE_TABLE} (kind, braked_at) VALUES ('order_confirm', now())`)
    assert.equal(await seen(due), 'nothing: the rule is stopped by its brake since TIME')
    assert.match(await seen(coming), /^due in 119 min, at TIME; the rule is stopped by its brake since TIME$/)
    await shop.timers.hold('order_confirm', { reason: 'no payments' })
    assert.match(await seen(coming), /^due in 119 min, at TIME; the rule is held since TIME \(no payments\), until it is released$/)
    await shop.close()
  })

  it('says nothing of Redis that it has not read: neither that a timer is not armed, nor that the rule has not failed', async () => {
    const shop = await openShop(
      ({ Order }) => ({ order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }) }),
      { redis: `redis://127.0.0.1:${await freePort()}` },
    )
    const next = async (ms: number) => {
      const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() + ms) })
      return (await viewOrder(runtimeOf(shop.timers), String(id))).rules[0]?.next
    }
    assert.match(String(await next(HOUR_MS)), /; whether it is armed is not known, since Redis did not answer/)
    assert.match(String(await next(-HOUR_MS)), /; whether the rule failed on it is not known, since Redis did not answer/)
    await shop.close()
  })

  it('says what is wrong with a rule that knows no ids, and not that the id is wrong', async () => {
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmAt' as 'confirmDueAt', after: '24h' }),
    }))
    await assert.rejects(viewOrder(runtimeOf(shop.timers), '34'), { code: 'ERR_ORDER_TIMERS_INVALID_MODEL' })
    await shop.close()
  })

  it('refuses an id that no order can have', async () => {
    const { shop, runtime } = await open()
    await assert.rejects(viewOrder(runtime, 'no id'), { code: 'ERR_ORDER_TIMERS_INVALID_ID' })
    await shop.close()
  })
})
