import assert from 'node:assert/strict'
import { DataTypes, literal, Model, type ModelStatic, type Sequelize, type Transaction } from 'sequelize'
import { effect, type Rules, transition } from '../../lib/index.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { armed, flush } from '../support/armed.js'
import { refusal, refused } from '../support/refused.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'
import { type HookedRow, type HookedShop, openHooked } from './hooked.js'

describe('settling one rule into the "from" of another that hooks the model', () => {
  let shop: HookedShop

  afterEach(() => shop.close())

  /** Settles 1 and 6 to 4, which `confirm` is about, at once. */
  const ship = (model: ModelStatic<HookedRow>, options: object = {}): Rules => ({
    ship: transition(model, { status: 'state', from: [1, 6], to: 4, since: 'createdAt', after: 1, ...options } as never),
  })
  const settled = async (count: number) => {
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await waitUntil(() => worker.settled.length >= count, { what: `${count} orders to be settled` })
    return worker
  }

  it('starts its timer in the same statement, and arms it', async () => {
    shop = await openHooked({ rules: ship })
    const order = await shop.Hooked.create({ state: 1 })
    await settled(1)
    await waitUntil(async () => (await armed(shop.redis, 'confirm', order.id)).due !== null)
    assert.deepEqual(await shop.timerOf(order.id), { row: 24, armed: 24 })
    assert.equal((await order.reload()).state, 4)
    assert.deepEqual([(await shop.timerOf(order.id, 'pay')).row, order.payBy], [null, null], 'and ends what the order leaves')
  })

  it('starts it where its rule has another model of the table, with other attribute names', async () => {
    const other = (model: ModelStatic<HookedRow>): Rules => {
      class Shipment extends Model {}
      const phase = { type: DataTypes.INTEGER, field: 'State Code' }
      const tableName = model.getTableName() as string
      Shipment.init({ phase, createdAt: DataTypes.DATE }, { sequelize: model.sequelize as Sequelize, tableName, updatedAt: false })
      return { ship: transition(Shipment, { status: 'phase', from: 1, to: 4, since: 'createdAt', after: 1 } as never) as never }
    }
    shop = await openHooked({ rules: other })
    const order = await shop.Hooked.create({ state: 1 })
    await settled(1)
    await waitUntil(async () => (await armed(shop.redis, 'confirm', order.id)).due !== null)
    assert.deepEqual(await shop.timerOf(order.id), { row: 24, armed: 24 })
  })

  it('starts it also where the other rule is declared after it', async () => {
    shop = await openHooked({ confirm: { to: 1, after: 50 } })
    const order = await shop.Hooked.create({ state: 4 })
    await settled(1)
    await waitUntil(async () => (await armed(shop.redis, 'pay', order.id)).due !== null)
    assert.deepEqual(await shop.timerOf(order.id, 'pay'), { row: 1, armed: 1 })
    assert.equal((await shop.timerOf(order.id)).row, null)
  })

  it('does not start it again where the order was in its "from" already', async () => {
    shop = await openHooked({ rules: ship })
    const order = await shop.Hooked.create({ state: 6 })
    await shop.timers.extend('confirm', order, '3h')
    await flush(shop.redis)
    const worker = await settled(1)
    await waitForEvent(worker, 'swept')
    assert.equal((await order.reload()).state, 4)
    assert.deepEqual(await shop.timerOf(order.id), { row: 27, armed: null })
    assert.equal(worker.settled.length, 1)
  })

  it('settles the one and then the other', async () => {
    shop = await openHooked({ confirm: { after: 50, to: 9 }, rules: ship })
    const order = await shop.Hooked.create({ state: 1 })
    const worker = await settled(2)
    assert.deepEqual(
      worker.settled.map(({ kind, id }) => [kind, id]),
      [
        ['ship', String(order.id)],
        ['confirm', String(order.id)],
      ],
    )
    assert.equal(worker.settled[1]?.via, 'alarm')
    assert.equal((await order.reload()).state, 9)
  })

  it('keeps a deadline that the settled rule writes by "set", and writes a column that several rules share once', async () => {
    const shared = { pause: { keep: 'keptMs' } }
    const set = { dueAt: literal("date_trunc('milliseconds', now()) + interval '5 hours'") }
    shop = await openHooked({ confirm: shared, pay: shared, rules: (model) => ship(model, { set }) })
    const order = await shop.Hooked.create({ state: 1 })
    await settled(1)
    await waitUntil(async () => (await armed(shop.redis, 'confirm', order.id)).due !== null)
    assert.deepEqual(await shop.timerOf(order.id), { row: 5, armed: 5 })
  })

  it('arms the timer of a "since" rule', async () => {
    const pay = { deadline: undefined, since: 'createdAt', after: '9h' }
    shop = await openHooked({ confirm: { deadline: undefined, since: 'updatedAt', after: '9h' }, pay, rules: ship })
    const order = await shop.Hooked.create({ state: 1 })
    const { createdAt } = order
    await settled(1)
    assert.deepEqual((await order.reload()).createdAt, createdAt, 'what the order leaves counts from a column of the own')
    await waitUntil(async () => (await armed(shop.redis, 'confirm', order.id)).due !== null)
    assert.deepEqual(await shop.timerOf(order.id), { row: null, armed: 9 })
  })

  it('starts the timer and writes the history', async () => {
    shop = await openHooked({ rules: (model) => ship(model, { history: true, afterCommit: () => {} }) })
    for (const sql of History.createSql(HISTORY_TABLE)) await shop.database.client.query(sql)
    const order = await shop.Hooked.create({ state: 1 })
    await settled(1)
    await waitUntil(async () => (await armed(shop.redis, 'confirm', order.id)).due !== null)
    assert.deepEqual(await shop.timerOf(order.id), { row: 24, armed: 24 })
    const { rows } = await shop.database.client.query(`SELECT from_status, to_status FROM ${HISTORY_TABLE}`)
    assert.deepEqual(rows, [{ from_status: '1', to_status: '4' }])
  })

  it('settles a rule that hooks the model and saves each order by itself', async () => {
    shop = await openHooked({ confirm: { individualHooks: true, after: 50 } })
    const order = await shop.Hooked.create({ state: 4 })
    const worker = await settled(1)
    await waitUntil(async () => (await armed(shop.redis, 'confirm', order.id)).due === null)
    assert.deepEqual([(await order.reload()).state, await shop.timerOf(order.id)], [5, { row: null, armed: null }])
    assert.deepEqual(worker.faultsTold, [])
  })

  it('is done by the hooks where each order is saved by itself, or where an effect writes the status', async () => {
    const after = (order: HookedRow) => (order.note === 'slow' ? '48h' : null)
    shop = await openHooked({
      confirm: { after },
      rules: (model) => ({
        ...ship(model, { from: 1, individualHooks: true }),
        pick: effect(model, {
          where: { state: 3 },
          since: 'createdAt',
          after: 1,
          run: async (orders: HookedRow[], { transaction }: { transaction: Transaction }) => {
            for (const order of orders) await order.update({ state: 4 }, { transaction })
          },
        } as never),
      }),
    })
    const [saved, quick, done] = [
      await shop.Hooked.create({ state: 1, note: 'slow' }),
      await shop.Hooked.create({ state: 1 }),
      await shop.Hooked.create({ state: 3, note: 'slow' }),
    ]
    await settled(3)
    for (const { id } of [saved, done]) assert.deepEqual(await shop.timerOf(id), { row: 48, armed: 48 })
    assert.deepEqual([(await quick.reload()).state, await shop.timerOf(quick.id)], [4, { row: null, armed: null }])
  })

  it('is refused where the "after" of the other is a function, which has no order to be called with', async () => {
    shop = await openHooked({ confirm: { after: () => '1h' }, rules: ship })
    assert.deepEqual(
      await refused(() => shop.timers.check()),
      refusal(
        'INVALID_OPTION',
        500,
        'orderTimers: rule "ship": it moves orders into "from" of the rule "confirm", whose "after" is a function of the order; give it individualHooks: true, so that each order is there to be asked',
      ),
    )
  })
})
