// What cannot run is found before it matters: by `check()`, by the worker's start and by its sweeps, each by rule and option.

import assert from 'node:assert/strict'
import type { Client } from 'pg'
import { col, fn, literal, Op, type WhereOptions, where } from 'sequelize'
import { effect, type Rules, startExpiryWorker, transition } from '../../lib/index.js'
import type { Database } from '../support/database.js'
import { Lines } from '../support/lines.js'
import { refused } from '../support/refused.js'
import { makeTimers, openShop, type TestWorker, watched } from '../support/shop.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'

const EVERY_SECOND = '* * * * * *'
const PAYMENTS = 'CREATE TABLE payments (id serial PRIMARY KEY, "orderId" integer)'
const UNPAID = 'NOT EXISTS (SELECT 1 FROM payments p WHERE p."orderId" = "Order".id)'
const faultOf = (worker: TestWorker, kind = 'order_pay') => worker.health().faults.find((fault) => fault.kind === kind)

const payWhere =
  (condition: unknown) =>
  ({ Order }: Pick<Database, 'Order'>) => ({
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m', where: condition as WhereOptions }),
  })
const long = () => ({ createdAt: new Date(Date.now() - 16 * 60_000) })

describe('A condition that findAll understands', () => {
  const conditions: [string, unknown][] = [
    ['a literal that names the model', { [Op.and]: literal(UNPAID) }],
    ['a literal on its own', literal(UNPAID)],
    ['literals within and, or and not', { [Op.or]: [{ total: 1 }, { [Op.and]: [literal(UNPAID), { [Op.not]: { total: 2 } }] }] }],
    ['an object without a prototype', Object.assign(Object.create(null), { total: 100 })],
    ['such an object within and', { [Op.and]: [Object.assign(Object.create(null), { total: 100 })] }],
    ['fn and col', where(fn('abs', col('total')), 100 as never)],
    ['a column by the model', where(col('Order.total'), 100 as never)],
    ['a column in dollars', { $total$: 100 }],
    ['a column of the model in dollars', { '$Order.total$': 100 }],
    ['ranges and lists', { total: { [Op.between]: [1, 200], [Op.notIn]: [5] } }],
  ]
  for (const [what, condition] of conditions) {
    it(`settles by it: ${what}`, async () => {
      const shop = await openShop(payWhere(condition))
      await shop.database.client.query(PAYMENTS)
      const id = await shop.order(long())
      assert.equal(await shop.database.Order.count({ where: condition as WhereOptions }), 1)
      await shop.timers.check()
      const worker = await shop.worker()
      await waitUntil(async () => (await shop.statusOf(id)) === 0)
      assert.deepEqual(
        worker.health().faults.filter(({ kind }) => kind),
        [],
      )
      await shop.close()
    })
  }

  it('is refused in words where it needs a table that is not joined', async () => {
    const shop = await openShop(payWhere({ [Op.or]: [{ '$user.isPaid$': true }] }))
    const { code, message } = await refused(() => shop.timers.check())
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    assert.match(
      message,
      /rule "order_pay": "where" names "\$user\.isPaid\$", a column of another table, and no other table is joined; say it as literal/,
    )
    await shop.close()
  })
})

describe('A check of a rule', () => {
  const wrong: [string, (database: Pick<Database, 'Order'>) => Rules, RegExp][] = [
    ['a misspelt attribute in "where"', payWhere({ pyaid: false }), /"where" cannot run: column Order\.pyaid does not exist/],
    ['a table that is missing in a literal', payWhere(literal(UNPAID)), /"where" cannot run: relation "payments" does not exist/],
    [
      'a wrong type in "set"',
      ({ Order }) => ({
        order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m', set: { total: literal(`'a'::text`) as never } }),
      }),
      /"set\.total" cannot run: column "total" is of type integer but expression is of type text/,
    ],
    [
      'a misspelt attribute in the "where" of an effect',
      ({ Order }) => ({ order_pay: effect(Order, { where: { pyaid: false } as never, since: 'createdAt', after: '15m', run: () => {} }) }),
      /"where" cannot run: column Order\.pyaid does not exist/,
    ],
    [
      'a misspelt attribute in "pause.while"',
      ({ Order }) => ({
        order_pay: transition(Order, {
          ...{ from: 1, to: 0, deadline: 'confirmDueAt' },
          pause: { keep: 'total', while: { hedl: true } as never },
        }),
      }),
      /"pause\.while" cannot run: column Order\.hedl does not exist/,
    ],
    [
      'a status that the column cannot hold',
      ({ Order }) => ({ order_pay: transition(Order, { from: 1, to: 3_000_000_000, since: 'createdAt', after: '15m' }) }),
      /"to" cannot run: value "…" is out of range for type integer; write a value that/,
    ],
  ]
  for (const [what, rules, message] of wrong) {
    it(`finds ${what}, and the worker says so and settles nothing of the rule`, async () => {
      const shop = await openShop(rules)
      await shop.database.client.query('ALTER TABLE orders ALTER COLUMN total DROP NOT NULL') // where a pause keeps the time
      const found = await refused(() => shop.timers.check())
      assert.equal(found.code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
      assert.equal(found.status, 500)
      assert.match(found.message, message)
      await shop.order(long())
      const worker = await shop.worker()
      assert.equal(faultOf(worker)?.code, 'INVALID_MODEL')
      assert.match(faultOf(worker)?.message ?? '', message)
      assert.equal(worker.health().kinds.order_pay?.failed, 0)
      await shop.close()
    })
  }

  it('lets a rolling migration heal by itself, within one sweep, and keeps the orders meanwhile', async () => {
    const shop = await openShop(payWhere(literal(UNPAID)))
    const id = await shop.order(long())
    const later = await shop.order({ createdAt: new Date(Date.now() - 15 * 60_000 + 2_000) })
    await shop.timers.schedule('order_pay', later).catch(() => {})
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await waitForEvent(worker, 'swept')
    assert.equal(faultOf(worker)?.code, 'INVALID_MODEL')
    const { code, status, message } = await refused(() => shop.timers.schedule('order_pay', id))
    assert.deepEqual([code, status], ['ERR_ORDER_TIMERS_INVALID_MODEL', 500])
    assert.doesNotMatch(message, /try again/)
    await shop.database.client.query(PAYMENTS)
    await waitUntil(async () => (await shop.statusOf(id)) === 0 && (await shop.statusOf(later)) === 0)
    assert.equal(faultOf(worker), undefined)
    const { failed, dead } = worker.health().kinds.order_pay ?? {}
    assert.deepEqual([failed, dead], [0, 0])
    await shop.close()
  })

  it('reports that it could not check while somebody locks the table, and checks again', async () => {
    const shop = await openShop(payWhere({ total: 100 }))
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await shop.database.client.query('ALTER TABLE orders ADD COLUMN extra integer')
    const holder = await shop.database.connect()
    await holder.query('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE')
    const { code, message } = await refused(() => shop.timers.check())
    assert.equal(code, 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE')
    assert.match(message, /not checked/)
    await holder.query('COMMIT')
    await shop.timers.check()
    await waitUntil(() => worker.health().status === 'ok')
    await shop.close()
  })
})

describe('Row-level security on the orders', () => {
  const pay = ({ Order }: Pick<Database, 'Order'>) => ({
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
  })

  it('is told by a worker whose user it hides orders from, until a policy shows it all of them', async () => {
    const shop = await openShop(pay)
    const { client, schema } = shop.database
    const role = `${schema}_role`
    await client.query(`CREATE ROLE ${role}; GRANT USAGE ON SCHEMA ${schema} TO ${role}; GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${role};
      GRANT ALL ON ALL SEQUENCES IN SCHEMA ${schema} TO ${role}; ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE POLICY of_a_user ON orders USING ("userId"::text = current_setting('shop.user', TRUE))`)
    const { sequelize, Order } = shop.database.connectSequelize()
    sequelize.addHook('afterConnect', (connection) => (connection as Client).query(`SET ROLE ${role}`) as never)
    const lines = new Lines()
    const timers = makeTimers(pay({ Order }), { redis: false, logger: lines })
    const worker = watched(startExpiryWorker(timers, { fallback: EVERY_SECOND }))
    try {
      const id = await shop.order(long())
      await worker.ready
      const told = await waitUntil(() => lines.of('warn')[0])
      assert.match(told, /"orders" has row-level security, and orders that no policy shows to this user are neither settled nor counted/)
      assert.match((await refused(() => timers.check())).message, /CREATE POLICY order_timers ON "orders" TO … USING \(true\)/)
      assert.equal(await shop.statusOf(id), 1)
      await client.query(`CREATE POLICY order_timers ON orders TO ${role} USING (TRUE)`)
      await waitUntil(async () => (await shop.statusOf(id)) === 0)
      await timers.check()
    } finally {
      await worker.stop()
      await timers.close()
      await shop.database.client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
      await shop.close()
    }
  })
})
