import assert from 'node:assert/strict'
import { col, fn, literal } from 'sequelize'
import { armed, NOT_ARMED } from '../support/armed.js'
import { ClsNamespace } from '../support/cls-namespace.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { type HookedRow, type HookedShop, openHooked } from './hooked.js'

const NONE = { row: null, armed: null }
const DAY = { row: 24, armed: 24 }

describe('auto, for instances', () => {
  let shop: HookedShop

  afterEach(() => shop.close())

  const build = (values: object = {}) => shop.Hooked.create({ state: 2, ...values })
  /** Who else has loaded the order. */
  const again = (order: HookedRow) => shop.Hooked.findByPk(order.id, { rejectOnEmpty: true })

  it('starts a timer with the save that brings the order into "from", on the row, on the instance and in Redis', async () => {
    shop = await openHooked()
    const order = await build()
    assert.deepEqual(await shop.timerOf(order.id), NONE)
    await order.update({ state: 4 })
    assert.deepEqual(await shop.timerOf(order.id), DAY)
    assert.deepEqual(order.dueAt, (await again(order)).dueAt)
    assert.deepEqual([order.changed(), order.previous('dueAt')], [false, order.dueAt])
    await shop.timers.extend('confirm', order, '1h')
    order.state = 5
    await order.save()
    assert.deepEqual([order.dueAt, await shop.timerOf(order.id)], [null, NONE])
  })

  it('starts a timer with create, build and findOrCreate', async () => {
    shop = await openHooked()
    const created = await shop.Hooked.create({})
    const built = await shop.Hooked.build({ state: 4 }).save()
    const [found] = await shop.Hooked.findOrCreate({ where: { note: 'x' }, defaults: { state: 6 } })
    assert.deepEqual(await shop.timerOf(created.id, 'pay'), { row: 1, armed: 1 })
    assert.deepEqual(await shop.timerOf(created.id), NONE)
    assert.deepEqual([await shop.timerOf(built.id), await shop.timerOf(found.id)], [DAY, DAY])
    assert.ok(built.dueAt instanceof Date && created.payBy instanceof Date)
    assert.equal(built.changed(), false)
  })

  it('ends one timer and starts another in the same statement', async () => {
    const statements: string[] = []
    shop = await openHooked({ database: { sequelize: { logging: (sql) => void statements.push(sql) } } })
    const order = await build({ state: 1 })
    statements.length = 0
    await order.update({ state: 4 })
    assert.deepEqual([await shop.timerOf(order.id), await shop.timerOf(order.id, 'pay')], [DAY, NONE])
    assert.equal(statements.filter((sql) => /UPDATE/.test(sql)).length, 1)
  })

  it('does not restart the timer of an order that is in "from" already, even if the instance is stale or the status is another one of "from"', async () => {
    shop = await openHooked()
    const order = await build()
    const stale = await again(order)
    await order.update({ state: 4 })
    await shop.timers.extend('confirm', order, '3h')
    await stale.update({ state: 4 })
    assert.deepEqual([await shop.timerOf(order.id), stale.dueAt], [{ row: 27, armed: 27 }, order.dueAt])
    await stale.update({ state: 6 })
    assert.equal((await shop.timerOf(order.id)).row, 27)
    await shop.timers.cancel('confirm', order)
    await stale.update({ state: 4 })
    assert.deepEqual(await shop.timerOf(order.id), NONE)
  })

  it('keeps a deadline that is saved with the status, but not null', async () => {
    shop = await openHooked()
    const [order, other] = [await build(), await build()]
    const dueAt = new Date(Date.now() + 5 * 3_600_000)
    await order.update({ state: 4, dueAt })
    assert.deepEqual([order.dueAt, await shop.timerOf(order.id)], [dueAt, { row: 5, armed: 5 }])
    await other.update({ state: 4, dueAt: null })
    const created = await shop.Hooked.create({ state: 4, dueAt })
    assert.deepEqual([await shop.timerOf(other.id), await shop.timerOf(created.id)], [DAY, { row: 5, armed: 5 }])
  })

  it('respects "fields", and does not touch what the shop has changed and not saved', async () => {
    shop = await openHooked()
    const order = await build()
    order.set({ state: 4, note: 'not yet' })
    await order.save({ fields: ['note'] })
    assert.deepEqual(await shop.timerOf(order.id), NONE)
    order.note = 'nor now'
    await order.save({ fields: ['state'] })
    assert.deepEqual(await shop.timerOf(order.id), DAY)
    assert.deepEqual([order.note, (await again(order)).note, order.changed()], ['nor now', 'not yet', ['note']])
  })

  it("runs after the shop's hooks and adds none to them; they see the deadline afterwards", async () => {
    shop = await openHooked()
    const seen: unknown[] = []
    shop.Hooked.addHook('beforeUpdate', (order) => void order.set('state', 4))
    shop.Hooked.addHook('afterUpdate', (order) => void seen.push(order.get('dueAt')))
    const order = await build()
    await order.update({ note: 'ships itself' })
    assert.deepEqual([await shop.timerOf(order.id), seen], [DAY, [order.dueAt]])
    for (const hook of ['beforeSave', 'beforeCreate', 'beforeBulkUpdate', 'afterSave'] as const) assert.ok(!shop.Hooked.hasHook(hook))
  })

  it('does not touch what the shop writes with "hooks: false", destroys or restores', async () => {
    shop = await openHooked({ model: { paranoid: true } })
    const order = await build()
    await order.update({ state: 4 }, { hooks: false })
    assert.deepEqual(await shop.timerOf(order.id), NONE)
    const shipped = await build({ state: 4 })
    await shipped.destroy()
    assert.deepEqual(await shop.timerOf(shipped.id), DAY)
    await shipped.restore()
    assert.deepEqual(await shop.timerOf(shipped.id), DAY)
  })

  it('goes by what Postgres makes of a status that is an expression', async () => {
    shop = await openHooked()
    const order = await build({ state: 3 })
    await order.update({ state: literal('"State Code" + 1') as never })
    assert.deepEqual([await shop.timerOf(order.id), order.state], [DAY, 4])
    await order.update({ state: fn('abs', col('State Code')) as never })
    assert.deepEqual(await shop.timerOf(order.id), DAY)
    await order.update({ state: fn('coalesce', null, 5) as never })
    assert.deepEqual([(await shop.timerOf(order.id)).row, order.dueAt], [null, null])
    const created = await shop.Hooked.create({ state: literal('2 + 2') as never })
    assert.deepEqual(await shop.timerOf(created.id), DAY)
  })

  it('works with optimistic locking: the second save changes nothing', async () => {
    shop = await openHooked({ model: { version: true } })
    const order = await build()
    const stale = await again(order)
    await order.update({ note: 'first' })
    await assert.rejects(stale.update({ state: 4 }), { name: 'SequelizeOptimisticLockError' })
    assert.deepEqual(await shop.timerOf(order.id), NONE)
    assert.equal(stale.dueAt, null)
    await order.update({ state: 4 })
    assert.deepEqual(await shop.timerOf(order.id), DAY)
    const leaving = await again(order)
    await order.update({ note: 'second' })
    await assert.rejects(leaving.update({ state: 2 }), { name: 'SequelizeOptimisticLockError' })
    assert.deepEqual(await shop.timerOf(order.id), DAY)
  })

  it('arms nothing for a row that no longer exists', async () => {
    shop = await openHooked()
    const order = await build()
    await shop.Hooked.truncate()
    await order.update({ state: 4, dueAt: new Date(Date.now() + 1000) })
    assert.deepEqual(await armed(shop.redis, 'confirm', order.id), NOT_ARMED)
  })

  it('leaves the instance as it was when the save fails', async () => {
    shop = await openHooked({ attributes: { note: { type: 'VARCHAR(3)' } } })
    const order = await build()
    await assert.rejects(order.update({ state: 4, note: 'too long' }))
    assert.equal(order.dueAt, null)
    await order.update({ state: 4, note: 'ok' })
    assert.deepEqual(await shop.timerOf(order.id), DAY)
  })

  it('clears what a pause and extensions have left when the order comes in again', async () => {
    const counted = { pause: { keep: 'keptMs' }, maxExtensions: 1, extended: 'extended' }
    shop = await openHooked({ confirm: counted })
    const order = await build({ state: 4 })
    await shop.timers.extend('confirm', order, '1h')
    await shop.timers.pause('confirm', order)
    await order.reload()
    await order.update({ state: 6 })
    assert.ok(Number((await again(order)).keptMs) > 0, 'in "from" all the while, it stays paused')
    await order.update({ state: 2 })
    assert.equal((await again(order)).keptMs, null)
    await order.update({ state: 4 })
    const { keptMs, extended } = await again(order)
    assert.deepEqual([keptMs, extended, await shop.timerOf(order.id)], [null, null, DAY])
  })

  it('calls an "after" that is a function', async () => {
    const after = (order: HookedRow) => (order.note === 'never' ? null : order.note === 'slow' ? '48h' : '2h')
    shop = await openHooked({ confirm: { after } })
    const [quick, slow, never] = [await build(), await build({ note: 'slow' }), await build({ state: 4, note: 'never' })]
    await quick.update({ state: 4 })
    await slow.update({ state: 4 })
    assert.deepEqual(await Promise.all([quick, slow, never].map(({ id }) => shop.timerOf(id))), [
      { row: 2, armed: 2 },
      { row: 48, armed: 48 },
      NONE,
    ])
  })

  it('does not call it for an order outside "from"', async () => {
    const BY_CARRIER: Record<string, '48h'> = { dhl: '48h' }
    shop = await openHooked({ confirm: { after: (order: HookedRow) => BY_CARRIER[order.note as string] } })
    const order = await build()
    const [other] = await shop.Hooked.bulkCreate([{ state: 1 }])
    await other?.update({ state: 0 })
    await shop.Hooked.upsert({ state: 0 })
    await order.update({ state: 4, note: 'dhl' })
    await order.update({ note: null })
    assert.deepEqual(await shop.timerOf(order.id), { row: 48, armed: 48 })
    await order.update({ state: 5 })
    assert.deepEqual(await shop.timerOf(order.id), NONE)
  })

  it('leaves no deadline under "backfill" where an order leaves; a cancelled timer stays cancelled', async () => {
    shop = await openHooked({ confirm: { backfill: true } })
    const order = await build({ state: 4 })
    await order.update({ state: 5 })
    assert.equal((await again(order)).dueAt, null)
    await order.update({ state: 4 })
    assert.deepEqual(await shop.timerOf(order.id), DAY)
    const cancelled = await shop.timers.cancel('confirm', order)
    await (await again(order)).update({ state: 6 })
    assert.deepEqual([cancelled.deadline, (await shop.timerOf(order.id)).armed], [null, null])
  })

  it('only arms on a "since" rule', async () => {
    const since = { deadline: undefined, since: 'createdAt', after: '9h' }
    shop = await openHooked({ confirm: since })
    const order = await build()
    await order.update({ state: 4 })
    assert.deepEqual(await shop.timerOf(order.id), { row: null, armed: 9 })
    await order.update({ state: 5 })
    assert.deepEqual(await shop.timerOf(order.id), NONE)
    const partial = await shop.Hooked.findByPk(order.id, { attributes: ['id', 'state'], rejectOnEmpty: true })
    await partial.update({ state: 4 })
    assert.deepEqual(await shop.timerOf(order.id), { row: null, armed: 9 })
  })

  it('writes no updatedAt where the shop saves silently', async () => {
    shop = await openHooked()
    const order = await build()
    const { updatedAt } = await again(order)
    await order.update({ state: 4 }, { silent: true })
    assert.deepEqual((await again(order)).updatedAt, updatedAt)
    assert.deepEqual(await shop.timerOf(order.id), DAY)
  })

  it('arms after the commit, and never after a rollback', async () => {
    shop = await openHooked()
    const { sequelize } = shop.database
    const order = await build()
    await sequelize.transaction(async (transaction) => {
      await order.update({ state: 4 }, { transaction })
      assert.equal((await shop.timerOf(order.id)).armed, null)
      await sequelize.transaction({ transaction }, (nested) =>
        build({ state: 4 }).then((other) => other.update({ state: 5 }, { transaction: nested })),
      )
    })
    assert.deepEqual(await shop.timerOf(order.id), DAY)
    const undone = await build()
    const failing = sequelize.transaction(async (transaction) => {
      await undone.update({ state: 4 }, { transaction })
      throw new Error('rolled back')
    })
    await assert.rejects(failing, /rolled back/)
    assert.deepEqual(await shop.timerOf(undone.id), NONE)
    const kept = sequelize.transaction(async (transaction) => {
      await order.update({ state: 5 }, { transaction })
      throw new Error('rolled back')
    })
    await assert.rejects(kept, /rolled back/)
    assert.deepEqual(await shop.timerOf(order.id), DAY, 'nothing was disarmed either')
  })

  it('joins the CLS transaction', async () => {
    shop = await openHooked()
    const order = await build()
    const namespace = ClsNamespace.use()
    try {
      await shop.database.sequelize.transaction(async () => {
        await order.update({ state: 4 })
        assert.equal((await shop.timerOf(order.id)).armed, null)
      })
    } finally {
      namespace.end()
    }
    assert.deepEqual(await shop.timerOf(order.id), DAY)
  })

  it('saves although Redis does not answer', async () => {
    shop = await openHooked()
    const proxy = await TcpProxy.start(Number(new URL(shop.redis.url).port))
    const slow = await openHooked({ redis: `redis://127.0.0.1:${proxy.port}` })
    await slow.timers.check()
    proxy.silence()
    const startedAt = performance.now()
    const order = await slow.Hooked.create({ state: 4 })
    assert.ok(performance.now() - startedAt < 2000, `${performance.now() - startedAt} ms`)
    assert.equal((await slow.timerOf(order.id)).row, 24)
    await slow.close()
    await proxy.stop()
  })
})
