import assert from 'node:assert/strict'
import { col, fn, literal, type ModelStatic, Op } from 'sequelize'
import { refusal, refused } from '../support/refused.js'
import { waitUntil } from '../support/waiting.js'
import { type HookedRow, type HookedShop, openHooked } from './hooked.js'

const NONE = { row: null, armed: null }
const DAY = { row: 24, armed: 24 }

describe('auto, for bulk statements', () => {
  let shop: HookedShop
  let Hooked: ModelStatic<HookedRow>

  afterEach(() => shop.close())

  const open = async (...options: Parameters<typeof openHooked>) => {
    shop = await openHooked(...options)
    Hooked = shop.Hooked
  }
  const create = (values: object = {}) => Hooked.create({ state: 2, ...values })
  const timersOf = (orders: HookedRow[], kind?: string) => Promise.all(orders.map(({ id }) => shop.timerOf(id, kind)))
  const where = (...orders: HookedRow[]) => ({ where: { id: orders.map(({ id }) => id) } })
  const again = (order: HookedRow) => Hooked.findByPk(order.id, { rejectOnEmpty: true })

  describe('Model.update', () => {
    it('starts and ends timers in the same statement, and returns what Sequelize returns', async () => {
      await open()
      const orders = [await create({ state: 1 }), await create(), await create()]
      const [first, second] = orders as [HookedRow, HookedRow]
      assert.deepEqual(await Hooked.update({ state: 4 }, where(first, second)), [2])
      assert.deepEqual(await timersOf(orders), [DAY, DAY, NONE])
      assert.equal((await shop.timerOf(first.id, 'pay')).row, null)
      assert.deepEqual(await Hooked.update({ state: 5 }, where(first)), [1])
      assert.deepEqual([(await shop.timerOf(first.id)).row, await shop.timerOf(second.id)], [null, DAY])
      assert.deepEqual(await Hooked.update({ state: 4 }, { where: { id: -1 } }), [0])
    })

    it('does not restart the timers of orders that are in "from" already', async () => {
      await open()
      const orders = [await create({ state: 4 }), await create({ state: 6 }), await create(), await create({ state: 4 })]
      await shop.timers.extend('confirm', orders[0] as HookedRow, '3h')
      await shop.timers.cancel('confirm', orders[3] as HookedRow)
      await Hooked.update({ state: 4 }, { where: {} })
      assert.deepEqual(await timersOf(orders), [{ row: 27, armed: 27 }, DAY, DAY, NONE])
    })

    it('casts the status as the model does, and respects "fields" and "silent"', async () => {
      await open()
      const orders = [await create(), await create(), await create({ state: 4 })]
      const { updatedAt } = await again(orders[0] as HookedRow)
      await Hooked.update({ state: '04' } as never, { ...where(orders[0] as HookedRow), silent: true })
      assert.deepEqual((await again(orders[0] as HookedRow)).updatedAt, updatedAt)
      await Hooked.update({ state: 4, note: 'x' }, { ...where(orders[1] as HookedRow), fields: ['note'] })
      await Hooked.update({ state: 4, note: 'x' }, { ...where(orders[1] as HookedRow), hooks: false })
      await Hooked.update({ state: '05' } as never, where(orders[2] as HookedRow))
      assert.deepEqual(await timersOf(orders.slice(0, 2)), [DAY, NONE])
      assert.equal((await shop.timerOf((orders[2] as HookedRow).id)).row, null)
    })

    it('accepts expressions, and a deadline in the same statement', async () => {
      await open()
      const orders = [await create({ state: 3 }), await create({ state: 4 }), await create({ state: 1 })]
      await shop.timers.extend('confirm', orders[1] as HookedRow, '3h')
      assert.deepEqual(await Hooked.update({ state: literal('"State Code" + 1') as never }, { where: {} }), [3])
      assert.deepEqual(
        (await timersOf(orders)).map(({ row }) => row),
        [24, null, null],
      )
      assert.equal((await shop.timerOf((orders[0] as HookedRow).id)).armed, 24)
      const dueAt = fn('now') as never
      await Hooked.update({ state: fn('greatest', col('State Code'), 4) as never, dueAt }, { where: { state: [2, 4] } })
      assert.deepEqual(
        (await timersOf(orders)).map(({ row }) => row),
        [0, null, 0],
      )
    })

    it('returns instances where the shop asks for them, with the attributes that it asked for', async () => {
      await open()
      const orders = [await create(), await create()]
      const [count, whole] = await Hooked.update({ state: 4 }, { ...where(orders[0] as HookedRow), returning: true })
      assert.deepEqual([count, whole[0]?.dueAt], [1, (await again(orders[0] as HookedRow)).dueAt])
      const [, part] = await Hooked.update({ state: 4 }, { ...where(orders[1] as HookedRow), returning: ['note'] as never })
      assert.deepEqual(part[0]?.get(), { note: null })
      assert.deepEqual(await timersOf(orders), [DAY, DAY])
    })

    it("runs after the shop's hooks, and works with individualHooks", async () => {
      await open()
      const orders = [await create(), await create({ note: 'x' })]
      Hooked.addHook('beforeUpdate', (order) => {
        order.set('note', `${order.get('note')} shipped`) // each another, so that Sequelize saves them one by one
      })
      await Hooked.update({ state: 4 }, { where: {}, individualHooks: true })
      assert.deepEqual(await timersOf(orders), [DAY, DAY])
      Hooked.addHook('beforeBulkUpdate', (options) => {
        ;(options as unknown as { attributes: object }).attributes = { state: 5 }
      })
      await Hooked.update({ state: 6 }, { where: {} })
      assert.deepEqual(
        (await timersOf(orders)).map(({ row }) => row),
        [null, null],
      )
    })

    it('works with default and other scopes', async () => {
      await open({ model: { defaultScope: { where: { note: null } }, scopes: { hidden: { where: { note: 'hidden' } } } } })
      const orders = [await create(), await create({ note: 'hidden' }), await create({ note: 'other' })]
      await Hooked.update({ state: 4 }, { where: {} })
      assert.deepEqual(await timersOf(orders), [DAY, NONE, NONE])
      await Hooked.scope('hidden').update({ state: 4 }, { where: {} })
      assert.deepEqual(await timersOf(orders), [DAY, DAY, NONE])
      await Hooked.unscoped().update({ state: 4 }, { where: {} })
      assert.deepEqual(await timersOf(orders), [DAY, DAY, DAY])
    })

    it('arms only after the commit', async () => {
      await open()
      const order = await create()
      const { sequelize } = shop.database
      await sequelize.transaction(async (transaction) => {
        await Hooked.update({ state: 4 }, { ...where(order), transaction })
        assert.equal((await shop.timerOf(order.id)).armed, null)
      })
      assert.deepEqual(await shop.timerOf(order.id), DAY)
      const other = await create()
      const failing = sequelize.transaction(async (transaction) => {
        await Hooked.update({ state: 4 }, { ...where(other), transaction })
        throw new Error('rolled back')
      })
      await assert.rejects(failing, /rolled back/)
      assert.deepEqual(await shop.timerOf(other.id), NONE)
    })

    it('calls an "after" that is a function for each order that comes into "from"', async () => {
      const asked: unknown[] = []
      const after = (order: HookedRow) => {
        asked.push(order.note)
        return order.note === 'never' ? null : order.note === 'slow' ? '48h' : '2h'
      }
      await open({ confirm: { after } })
      const orders = [await create({ note: 'a' }), await create({ note: 'slow' }), await create({ note: 'never' })]
      const there = await create({ state: 4, note: 'there' })
      await shop.timers.extend('confirm', there, '3h')
      asked.length = 0
      assert.deepEqual(await Hooked.update({ state: 4 }, { where: { note: { [Op.ne]: 'x' } } }), [4])
      const TWO = { row: 2, armed: 2 }
      assert.deepEqual(await timersOf([...orders, there]), [TWO, { row: 48, armed: 48 }, NONE, { row: 5, armed: 5 }])
      assert.deepEqual(asked.sort(), ['a', 'never', 'slow'])
      assert.deepEqual(await Hooked.update({ state: 6 }, where(...(await Promise.all([create({ note: 'never' })])))), [1])
      assert.deepEqual(await Hooked.update({ state: 6 }, { where: { id: -1 } }), [0])
      const more = await create({ state: 3 })
      await Hooked.increment('state', where(more))
      assert.deepEqual(await timersOf([more]), [TWO])
    })

    it('calls it with the order as the statement leaves it, as a save does', async () => {
      await open({ confirm: { after: (order: HookedRow) => (order.note === 'slow' && order.state === 4 ? '48h' : '2h') } })
      const orders = [await create(), await create(), await create({ state: 3 })]
      await Hooked.update({ state: 4, note: 'slow' }, where(orders[0] as HookedRow))
      await Hooked.update({ state: 4, note: Hooked.sequelize?.literal("'slow'") } as object, where(orders[1] as HookedRow))
      assert.deepEqual(await timersOf(orders.slice(0, 2)), [
        { row: 48, armed: 48 },
        { row: 2, armed: 2 },
      ])
    })

    it('calls it with the order as it is once the row is locked', async () => {
      await open({ confirm: { after: (order: HookedRow) => (order.note === 'slow' ? '48h' : '2h') } })
      const order = await create()
      const holder = await shop.database.connect()
      await holder.query('BEGIN')
      await holder.query(`UPDATE "hooked US$1" SET note = 'slow'`)
      const update = Hooked.update({ state: 4 }, where(order))
      const blocked = 'SELECT 1 FROM pg_locks WHERE NOT granted AND $1 = ANY(pg_blocking_pids(pid))'
      const pid = (holder as unknown as { processID: number }).processID
      await waitUntil(async () => (await shop.database.client.query(blocked, [pid])).rowCount, { what: 'the update to wait for the lock' })
      await holder.query('COMMIT')
      await update
      assert.deepEqual(await shop.timerOf(order.id), { row: 48, armed: 48 })
    })

    it('only arms on a "since" rule', async () => {
      await open({ confirm: { deadline: undefined, since: 'createdAt', after: '9h' } })
      const order = await create()
      assert.deepEqual(await Hooked.update({ state: 4 }, where(order)), [1])
      assert.deepEqual(await shop.timerOf(order.id), { row: null, armed: 9 })
    })

    it('arms thousands of timers', async () => {
      await open()
      await Hooked.bulkCreate(Array.from({ length: 2_500 }, () => ({ state: 2 })))
      assert.deepEqual(await Hooked.update({ state: 4 }, { where: {} }), [2_500])
      const due = shop.key('order-timers:{confirm}:due')
      await waitUntil(async () => (await shop.redis.client.zcard(due)) === 2_500, { what: 'all to be armed' })
    })
  })

  describe('bulkCreate', () => {
    it('starts the timers of orders that are in "from", and of no others', async () => {
      await open()
      const orders = await Hooked.bulkCreate([{ state: 4 }, {}, { state: '6' as never }, { state: 5 }])
      assert.deepEqual(await timersOf(orders), [DAY, NONE, DAY, NONE])
      assert.deepEqual(await timersOf(orders, 'pay'), [NONE, { row: 1, armed: 1 }, NONE, NONE])
      assert.ok(orders[0]?.dueAt instanceof Date)
      assert.equal(orders[0]?.changed(), false)
      const dueAt = new Date(Date.now() + 5 * 3_600_000)
      const given = await Hooked.bulkCreate([{ state: 4, dueAt }, { state: 4 }], { individualHooks: true })
      assert.deepEqual(await timersOf(given), [{ row: 5, armed: 5 }, DAY])
    })

    it('returns what the shop asked for', async () => {
      await open()
      const [blind] = (await Hooked.bulkCreate([{ state: 4 }], { returning: false })) as [HookedRow]
      assert.deepEqual([blind.id, blind.dueAt], [null, undefined])
      const [part] = (await Hooked.bulkCreate([{ state: 4 }], { returning: ['note'] })) as [HookedRow]
      assert.deepEqual([part.id, part.dueAt], [null, undefined])
      const orders = await Hooked.findAll()
      assert.deepEqual(await timersOf(orders), [DAY, DAY])
    })

    it('calls an "after" that is a function', async () => {
      await open({ confirm: { after: (order: HookedRow) => (order.note === 'slow' ? '48h' : null) } })
      assert.deepEqual(await timersOf(await Hooked.bulkCreate([{ state: 4 }, { state: 4, note: 'slow' }])), [NONE, { row: 48, armed: 48 }])
    })

    it('with updateOnDuplicate keeps the deadlines of existing orders', async () => {
      await open()
      const order = await create({ state: 4 })
      await shop.timers.extend('confirm', order, '3h')
      const updateOnDuplicate: (keyof HookedRow['_attributes'])[] = ['note']
      await Hooked.bulkCreate(
        [
          { id: order.id, state: 4, note: 'x' },
          { id: 99, state: 4 },
        ],
        { updateOnDuplicate },
      )
      assert.equal((await again(order)).note, 'x')
      assert.deepEqual([await shop.timerOf(order.id), await shop.timerOf(99)], [{ row: 27, armed: 27 }, DAY])
      await Hooked.bulkCreate([{ id: order.id, state: 5 }], { updateOnDuplicate: ['state'] })
      assert.equal((await shop.timerOf(order.id)).row, null)
    })

    it('with updateOnDuplicate of the status is refused where timers could not be kept right', async () => {
      await open()
      const order = await create()
      assert.deepEqual(
        await refused(() => Hooked.bulkCreate([{ id: order.id, state: 4 }], { updateOnDuplicate: ['state'] })),
        refusal('AUTO_UPSERT', 500, REFUSED('bulkCreate with updateOnDuplicate', 4)),
      )
      assert.equal((await again(order)).state, 2)
    })
  })

  const REFUSED = (call: string, state: number) =>
    `orderTimers: rule "confirm": Hooked.${call} writes state ${state}, and cannot start the timer of a new order without restarting that of an existing one; use findOrCreate and then update, or the trigger that \`order-timers migration --trigger\` prints in place of "auto"`

  describe('upsert', () => {
    it('is refused where it writes a status in "from"', async () => {
      await open()
      assert.deepEqual(await refused(() => Hooked.upsert({ id: 7, state: 4 })), refusal('AUTO_UPSERT', 500, REFUSED('upsert', 4)))
      assert.equal(await Hooked.count(), 0)
      const { code } = await refused(() => Hooked.upsert({ id: 7, state: literal('4') as never }))
      assert.equal(code, 'ERR_ORDER_TIMERS_AUTO_UPSERT')
    })

    it('starts the timer of a new order by its default status, and not that of an existing order', async () => {
      await open()
      const [created] = await Hooked.upsert({ id: 7, note: 'new' })
      assert.deepEqual([await shop.timerOf(7, 'pay'), created.payBy], [{ row: 1, armed: 1 }, (await again(created)).payBy])
      const paid = await create()
      await Hooked.upsert({ id: paid.id, note: 'there' })
      assert.deepEqual([(await again(paid)).note, await shop.timerOf(paid.id, 'pay')], ['there', NONE])
      await shop.timers.extend('pay', 7, '3h')
      await Hooked.upsert({ id: 7, note: 'again' })
      assert.deepEqual(await shop.timerOf(7, 'pay'), { row: 4, armed: 4 })
    })

    it('ends timers where it writes a status outside "from", and accepts a deadline in the same call', async () => {
      await open()
      const order = await create({ state: 4 })
      await Hooked.upsert({ id: order.id, state: 5 })
      assert.deepEqual([(await again(order)).state, (await shop.timerOf(order.id)).row], [5, null])
      await Hooked.upsert({ id: order.id, state: 4, dueAt: new Date(Date.now() + 5 * 3_600_000) })
      assert.deepEqual(await shop.timerOf(order.id), { row: 5, armed: 5 })
    })

    it('only arms on a "since" rule', async () => {
      await open({ confirm: { deadline: undefined, since: 'createdAt', after: '9h' } })
      await Hooked.upsert({ id: 7, state: 4 })
      assert.deepEqual(await shop.timerOf(7), { row: null, armed: 9 })
    })
  })

  describe('increment and decrement', () => {
    it('start and end timers, of an instance and in bulk', async () => {
      await open()
      const [order, other] = [await create({ state: 3 }), await create({ state: 6 })]
      await order.increment('state')
      assert.deepEqual([await shop.timerOf(order.id), order.dueAt], [DAY, (await again(order)).dueAt])
      await order.increment({ state: 2 })
      assert.deepEqual([(await again(order)).state, await shop.timerOf(order.id)], [6, DAY])
      await Hooked.decrement('state', where(order, other))
      assert.deepEqual(
        (await timersOf([order, other])).map(({ row }) => row),
        [null, null],
      )
      const [affected] = (await Hooked.decrement({ state: 1 }, where(order))) as unknown as [[HookedRow[], number]]
      assert.equal(affected[1], 1)
      assert.deepEqual([(await again(order)).state, (await shop.timerOf(order.id)).row], [4, 24])
      const blind: unknown = await Hooked.increment('state', { ...where(other), by: 1, returning: false } as never)
      assert.deepEqual(blind, [[[], 1]])
      assert.deepEqual(await shop.timerOf(other.id), DAY)
    })
  })
})
