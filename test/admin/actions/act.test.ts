import assert from 'node:assert/strict'
import { transition } from '../../../lib/index.js'
import type { RuntimeRedis } from '../../../lib/timers/runtime.js'
import { armed, NOT_ARMED } from '../../support/armed.js'
import { freePort } from '../../support/free-port.js'
import { refused } from '../../support/refused.js'
import { waitForEvent } from '../../support/waiting.js'
import { type ActingShop, createActionsTable, openActingShop, SUPPORT } from './acting.js'

const HOUR_MS = 3_600_000
const CONFIRM = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' } as const

const near = (actual: unknown, expected: number) =>
  assert.ok(Math.abs(Number(actual) - expected) < 5_000, `${actual} is not about ${expected}`)

describe('an action on orders whose deadline is on the row', () => {
  let shop: ActingShop<never>

  afterEach(() => shop.close())

  const open = async (options: object = {}, more: Parameters<typeof openActingShop>[1] = {}) => {
    shop = (await openActingShop(
      ({ Order }) => ({ order_confirm: transition(Order, { ...CONFIRM, ...options }) }),
      more,
    )) as unknown as ActingShop<never>
    await shop.database.client.query('ALTER TABLE orders ALTER total DROP NOT NULL')
  }
  /** A shipped order, due in so many milliseconds. Its column `total` has nothing, so that a pause can keep its time there. */
  const shipped = async (inMs: number) => {
    const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() + inMs) })
    await shop.database.client.query('UPDATE orders SET total = NULL WHERE id = $1', [id])
    return { id, deadline: await shop.deadlineOf(id) }
  }
  const timerOf = (id: number) => armed(shop.redis, 'order_confirm', id)

  it('extends, tells Redis, and is recorded with the deadlines before and after', async () => {
    await open()
    const order = await shipped(HOUR_MS)
    const before = order.deadline as number
    const after = before + 2 * HOUR_MS
    const actor = { user: 'support', via: 'page', reason: 'parcel is late' } as const
    const acted = await shop.act('extend', [order], { by: '2h', actor })
    assert.deepEqual(acted, {
      ...{ action: 'extend', kind: 'order_confirm', record: '1', count: 1 },
      orders: [{ id: String(order.id), outcome: 'done', before, after, armed: true }],
    })
    assert.equal(await shop.deadlineOf(order.id), after)
    assert.equal((await timerOf(order.id)).due, after)
    const [entry, ...others] = await shop.recorded()
    assert.deepEqual(others, [])
    near(entry?.at, Date.now())
    assert.deepEqual(
      { ...entry, at: 0 },
      {
        ...{
          id: '1',
          at: 0,
          endedAt: null,
          action: 'extend',
          kind: 'order_confirm',
          actor: 'support',
          via: 'page',
          reason: 'parcel is late',
        },
        ...{ state: 'done', count: 1, error: undefined, orders: [{ id: String(order.id), outcome: 'done', before, after }] },
      },
    )
  })

  it('pauses, resumes and cancels, and each repeated is harmless', async () => {
    await open({ pause: { keep: 'total' } })
    const { id, deadline } = await shipped(HOUR_MS)
    await shop.act('extend', [{ id }], { by: 1_000 })
    for (let times = 0; times < 2; times += 1) {
      const { orders } = await shop.act('pause', [{ id }])
      assert.deepEqual(orders, [
        { id: String(id), outcome: 'done', before: times === 0 ? (deadline as number) + 1_000 : null, after: null },
      ])
      assert.deepEqual(await timerOf(id), NOT_ARMED)
    }
    const [resumed] = (await shop.act('resume', [{ id, deadline: null }])).orders
    near(resumed?.after, (deadline as number) + 1_000)
    assert.equal((await timerOf(id)).due, resumed?.after)
    assert.deepEqual((await shop.act('resume', [{ id }])).orders[0]?.after, resumed?.after)
    const [cancelled] = (await shop.act('cancel', [{ id, deadline: resumed?.after }])).orders
    assert.deepEqual([cancelled?.outcome, cancelled?.before, cancelled?.after], ['done', resumed?.after, null])
    assert.deepEqual([await shop.deadlineOf(id), await timerOf(id)], [null, NOT_ARMED])
    const actions = (await shop.recorded()).map(({ action }) => action)
    assert.deepEqual(actions, ['cancel', 'resume', 'resume', 'pause', 'pause', 'extend'])
  })

  it('settles now by a deadline that is now: the acting process settles nothing, and a worker settles it at once', async () => {
    await open()
    const order = await shipped(24 * HOUR_MS)
    const [acted] = (await shop.act('settle', [order])).orders
    assert.deepEqual([acted?.outcome, acted?.before, acted?.armed], ['done', order.deadline, true])
    near(acted?.after, Date.now())
    assert.equal(await shop.statusOf(order.id), 4)
    const worker = await shop.worker({ fallback: false })
    if (worker.settled.length === 0) await waitForEvent(worker, 'settled')
    const second = await shipped(24 * HOUR_MS)
    const settled = waitForEvent(worker, 'settled')
    await shop.act('settle', [second])
    await settled
    assert.deepEqual([await shop.statusOf(order.id), await shop.statusOf(second.id), worker.settled.at(-1)?.via], [5, 5, 'alarm'])
  })

  it('settles now also what "staleAfter" holds back', async () => {
    await open()
    const order = await shipped(-30 * 24 * HOUR_MS)
    const worker = await shop.worker({ fallback: false })
    const settled = waitForEvent(worker, 'settled')
    await shop.act('settle', [order])
    await settled
    assert.equal(await shop.statusOf(order.id), 5)
  })

  it('does the others if a trigger of the shop refuses one', async () => {
    await open()
    const [first, refused, last] = [await shipped(HOUR_MS), await shipped(HOUR_MS), await shipped(HOUR_MS)]
    await shop.database.client.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'frozen'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE ON orders FOR EACH ROW WHEN (NEW.id = ${refused.id}) EXECUTE FUNCTION refuse()`)
    const acted = await shop.act('extend', [first, refused, last], { by: '1h' })
    assert.deepEqual(
      acted.orders.map(({ outcome, code }) => [outcome, code]),
      [
        ['done', undefined],
        ['refused', 'ERR_ORDER_TIMERS_VETOED'],
        ['done', undefined],
      ],
    )
    assert.match(acted.orders[1]?.why as string, /order \d+ was not written: a trigger or a constraint of the table refused it \(frozen\)$/)
    assert.equal((await shop.recorded())[0]?.count, 2)
    const deadlines = await Promise.all([first, refused, last].map(({ id }) => shop.deadlineOf(id)))
    assert.deepEqual(
      deadlines,
      [first, refused, last].map(({ deadline }, i) => Number(deadline) + (i === 1 ? 0 : HOUR_MS)),
    )
  })

  it('handles each order separately: it reports those that changed, left, are locked or missing, and does the others', async () => {
    await open()
    const [same, changed, left, locked] = [await shipped(HOUR_MS), await shipped(HOUR_MS), await shipped(HOUR_MS), await shipped(HOUR_MS)]
    await shop.act('extend', [changed], { by: '1h' })
    await shop.database.client.query('UPDATE orders SET status = 5 WHERE id = $1', [left.id])
    const other = await shop.database.connect()
    await other.query('BEGIN')
    await other.query('SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', [locked.id])
    const acted = await shop.act('extend', [same, changed, left, locked, { id: 999 }], { by: '1h' })
    await other.query('ROLLBACK')
    assert.deepEqual(
      acted.orders.map(({ id, outcome, code }) => [id, outcome, code?.replace('ERR_ORDER_TIMERS_', '')]),
      [
        [String(same.id), 'done', undefined],
        [String(changed.id), 'skipped', undefined],
        [String(left.id), 'refused', 'ORDER_NOT_IN_FROM'],
        [String(locked.id), 'refused', 'ROW_LOCKED'],
        ['999', 'refused', 'ORDER_NOT_FOUND'],
      ],
    )
    assert.equal(acted.count, 1)
    assert.match(
      acted.orders[1]?.why as string,
      /^order_confirm: order \d+ was shown with the deadline 20.*Z and has the deadline 20.*Z now; look again$/,
    )
    const deadlines = await Promise.all([same, changed, left, locked].map(({ id }) => shop.deadlineOf(id)))
    assert.deepEqual(deadlines, [
      (same.deadline as number) + HOUR_MS,
      (changed.deadline as number) + HOUR_MS,
      left.deadline,
      locked.deadline,
    ])
    const [entry] = await shop.recorded()
    assert.deepEqual([entry?.count, entry?.orders.map(({ outcome }) => outcome)], [1, ['done', 'skipped', 'refused', 'refused', 'refused']])
  })

  it('is refused beyond the limit of extensions, and without a deadline', async () => {
    await open({ maxExtensions: 1, extended: 'total' })
    const order = await shipped(HOUR_MS)
    await shop.act('extend', [order], { by: '1h' })
    const none = await shop.order({ status: 4 })
    const { orders } = await shop.act('extend', [{ id: order.id }, { id: none }], { by: '1h' })
    assert.deepEqual(
      orders.map(({ outcome, code }) => [outcome, code]),
      [
        ['refused', 'ERR_ORDER_TIMERS_EXTENSION_LIMIT'],
        ['refused', 'ERR_ORDER_TIMERS_NO_TIMER'],
      ],
    )
    assert.equal(await shop.deadlineOf(order.id), (order.deadline as number) + HOUR_MS)
  })

  it('takes 200 orders at once, in one transaction', async () => {
    await open()
    const due = new Date(Date.now() + HOUR_MS)
    await shop.database.Order.bulkCreate(Array.from({ length: 201 }, () => ({ status: 4, confirmDueAt: due })))
    const orders = Array.from({ length: 200 }, (_, i) => ({ id: i + 1, deadline: due }))
    const acted = await shop.act('cancel', orders)
    assert.deepEqual([acted.count, (await shop.recorded()).map(({ count }) => count)], [200, [200]])
    const { rows } = await shop.database.client.query('SELECT id FROM orders WHERE "confirmDueAt" IS NOT NULL')
    assert.deepEqual(rows, [{ id: 201 }])
    const writers = await shop.database.client.query('SELECT count(DISTINCT xmin::text)::int AS count FROM orders WHERE id <= 200')
    assert.deepEqual(writers.rows, [{ count: 1 }])
    const tooMany = await refused(() => shop.act('cancel', [...orders, { id: 201 }]))
    assert.deepEqual([tooMany.code, tooMany.status], ['ERR_ORDER_TIMERS_INVALID_ACTION', 400])
  })

  it('succeeds without Redis, and the sweep has what was written', async () => {
    await open({}, { redis: `redis://127.0.0.1:${await freePort()}` })
    const order = await shipped(HOUR_MS)
    const [acted] = (await shop.act('extend', [order], { by: '1h' })).orders
    assert.deepEqual([acted?.outcome, acted?.armed], ['done', false])
    assert.equal(await shop.deadlineOf(order.id), (order.deadline as number) + HOUR_MS)
  })

  it('writes nothing if it cannot be recorded, and names the migration, or the missing right', async () => {
    await open({}, { recorded: false })
    const order = await shipped(HOUR_MS)
    const attempt = () => refused(() => shop.act('extend', [order], { by: '1h' }))
    const noTable = await attempt()
    assert.deepEqual([noTable.code, noTable.status], ['ERR_ORDER_TIMERS_NOT_RECORDED', 500])
    assert.match(
      noTable.message,
      /"order_timers_actions", and that table does not exist; create it with what `order-timers migration` prints$/,
    )
    await createActionsTable(shop.database)
    assert.equal(await shop.deadlineOf(order.id), order.deadline)
    await shop.act('extend', [order], { by: '1h' })
    await shop.database.client.query('DROP TABLE order_timers_actions')
    await shop.database.client.query('CREATE TABLE order_timers_actions (id int)')
    assert.match((await attempt()).message, /it lacks a column/)
    assert.equal(await shop.deadlineOf(order.id), (order.deadline as number) + HOUR_MS)
  })

  it('refuses an unknown action, no orders, or a rule that does not allow it, before any query', async () => {
    await open()
    const cases: [() => unknown, string][] = [
      [() => shop.act('explode' as never, [{ id: 1 }]), 'INVALID_ACTION'],
      [() => shop.act('cancel', []), 'INVALID_ACTION'],
      [() => shop.act('cancel', 'all' as never), 'INVALID_ACTION'],
      [() => shop.act('cancel', [7 as never]), 'INVALID_ACTION'],
      [() => shop.act('cancel', [{ id: 1, deadline: 'soon' as never }]), 'INVALID_ACTION'],
      [() => shop.act('cancel', [{ id: 1, deadline: 1e300 }]), 'INVALID_ACTION'],
      [() => shop.act('cancel', [{ id: '1; DROP' }]), 'INVALID_ID'],
      [() => shop.act('cancel', [{ id: { toString: () => '1' } }]), 'INVALID_ID'],
      [() => shop.act('cancel', [{ id: 1 }], { kind: 'order_cofirm' }), 'UNKNOWN_KIND'],
      [() => shop.act('extend', [{ id: 1 }]), 'INVALID_DURATION'],
      [() => shop.act('extend', [{ id: 1 }], { by: '-1h' }), 'INVALID_DURATION'],
      [() => shop.act('pause', [{ id: 1 }]), 'NOT_PAUSABLE'],
      [() => shop.act('cancel', [{ id: 1 }], { actor: { ...SUPPORT, user: ' ' } }), 'INVALID_ACTION'],
      [() => shop.act('cancel', [{ id: 1 }], { actor: { ...SUPPORT, user: 'x'.repeat(201) } }), 'INVALID_ACTION'],
      [() => shop.act('cancel', [{ id: 1 }], { actor: { ...SUPPORT, via: 'magic' as never } }), 'INVALID_ACTION'],
      [() => shop.act('cancel', [{ id: 1 }], { actor: { ...SUPPORT, reason: 7 as never } }), 'INVALID_ACTION'],
    ]
    for (const [call, name] of cases) assert.equal((await refused(call)).code, `ERR_ORDER_TIMERS_${name}`, String(call))
    assert.deepEqual(await shop.recorded(), [])
  })

  it('keeps a hostile name and reason unchanged, except NUL, which Postgres does not accept', async () => {
    await open()
    const order = await shipped(HOUR_MS)
    const user = `'); DROP TABLE orders; -- \u0000<script>\ud800 "$1" $$`
    await shop.act('cancel', [order], { actor: { user, via: 'page', reason: user } })
    const [entry] = await shop.recorded()
    const kept = `'); DROP TABLE orders; -- <script>\ufffd "$1" $$`
    assert.deepEqual([entry?.actor, entry?.reason], [kept, kept])
  })
})

describe('an action on timers that are only in Redis', () => {
  it('leaves one alone that got another deadline between reading and action', async () => {
    const shop = await openActingShop(({ Order }) => ({
      order_unshipped: transition(Order, { from: 2, to: 0, deadline: false, after: '24h' }),
    }))
    const { index } = shop.runtime.redis as RuntimeRedis
    const id = await shop.order({ status: 2 })
    const look = index.deadlines.bind(index)
    for (const action of ['cancel', 'extend', 'settle'] as const) {
      const { deadline } = await shop.timers.schedule('order_unshipped', id, { after: '1h' })
      const shown = deadline?.getTime() as number
      index.deadlines = async (...asked) => {
        const found = await look(...asked)
        await shop.timers.extend('order_unshipped', id, '1h') // a customer, at this very moment
        return found
      }
      const { orders } = await shop.act(action, [{ id, deadline: shown }], { by: '1h' })
      assert.deepEqual(
        orders.map(({ outcome, before }) => [outcome, before]),
        [['skipped', shown + HOUR_MS]],
        action,
      )
      assert.equal((await armed(shop.redis, 'order_unshipped', id)).due, shown + HOUR_MS)
      index.deadlines = look
      const done = await shop.act(action, [{ id, deadline: shown + HOUR_MS }], { by: '1h' })
      assert.equal(done.orders[0]?.outcome, 'done')
      assert.equal(done.orders[0]?.before, shown + HOUR_MS)
    }
    await shop.close()
  })
})

describe('an action on orders of a rule with "since"', () => {
  it('settles only those that are due already; the others follow from their rows', async () => {
    const shop = await openActingShop(({ Order }) => ({
      order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    }))
    const ago = (ms: number) => shop.order({ status: 1, createdAt: new Date(Date.now() - ms) })
    const [due, early, stale] = [await ago(HOUR_MS), await ago(0), await ago(30 * 24 * HOUR_MS)]
    const paid = await shop.order({ status: 2, createdAt: new Date(Date.now() - HOUR_MS) })
    const { orders } = await shop.act(
      'settle',
      [due, early, stale, paid].map((id) => ({ id })),
    )
    assert.deepEqual(
      orders.map(({ outcome, code }) => [outcome, code?.replace('ERR_ORDER_TIMERS_', '')]),
      [
        ['done', undefined],
        ['refused', 'NOT_ON_SINCE'],
        ['refused', 'NOT_ON_SINCE'],
        ['refused', 'ORDER_NOT_IN_FROM'],
      ],
    )
    assert.match(orders[1]?.why as string, /is not due yet/)
    assert.match(orders[2]?.why as string, /overdue for longer than "staleAfter"; `order-timers sweep --stale` settles such orders/)
    assert.equal((await armed(shop.redis, 'order_pay', due)).due, orders[0]?.before)
    for (const action of ['extend', 'cancel', 'pause'] as const)
      assert.equal((await refused(() => shop.act(action, [{ id: due }], { by: '1h' }))).code, 'ERR_ORDER_TIMERS_NOT_ON_SINCE')
    await shop.close()
  })
})
