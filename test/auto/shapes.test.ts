// `auto` over every shape of table in ../rules/shapes.ts: by instances, in bulk, settled into each other, and by the trigger.

import assert from 'node:assert/strict'
import { DataTypes, type Model, type ModelStatic, Op } from 'sequelize'
import { triggerSql } from '../../lib/auto/trigger.js'
import { type Rules, transition } from '../../lib/index.js'
import { define, NUMBERS, SHAPES, type Shape, type Statuses } from '../rules/shapes.js'
import { armed, NOT_ARMED } from '../support/armed.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const rulesOf = (shape: Shape, model: ModelStatic<Model>, auto: boolean): Rules => {
  const { placed, paid, shipped, confirmed } = shape.statuses ?? NUMBERS
  const { status = 'status', deadline = 'dueAt', since = 'placedAt' } = shape.names ?? {}
  return {
    confirm: transition(model, { from: [shipped], to: confirmed, deadline, after: '24h', status, auto } as never),
    ship: transition(model, { from: [placed, paid], to: shipped, since, after: '15m', status } as never),
  } as Rules
}

for (const shape of SHAPES) {
  describe(`auto, on a table with ${shape.title}`, () => {
    const statuses = shape.statuses ?? NUMBERS
    const { status: statusName = 'status', deadline: deadlineName = 'dueAt', since: sinceName = 'placedAt' } = shape.names ?? {}
    let shop: Shop<Rules>
    let Shaped: ModelStatic<Model>
    let ids: (string | number)[]

    const open = async (auto: boolean) => {
      ids = [...(shape.ids ?? [])]
      shop = await openShop((database) => {
        Shaped = define(shape, database)
        return rulesOf(shape, Shaped, auto)
      })
      await shape.prepare?.(shop.database)
      await Shaped.sync()
    }

    afterEach(async () => {
      const { client, schema } = shop.database
      await client.query(`DROP SCHEMA IF EXISTS "${schema} b" CASCADE`)
      await shop.close()
    })

    const values = (status: keyof Statuses, more: object = {}) => {
      const id = ids.shift()
      const key = id === undefined ? {} : { [Shaped.primaryKeyAttribute]: id }
      return { ...key, ...shape.values, [statusName]: statuses[status], ...more }
    }
    const idOf = (order: Model) => order.get(Shaped.primaryKeyAttribute) as string
    const dueAt = async (order: Model) => {
      const found = await Shaped.unscoped().findByPk(idOf(order), { rejectOnEmpty: true })
      return (found.get(deadlineName) as Date | null)?.getTime() ?? null
    }
    const assertTimed = async (order: Model) => {
      const due = await dueAt(order)
      assert.ok(due !== null && Math.abs(due - Date.now() - 86_400_000) < 60_000, `${due}`)
      assert.deepEqual(await armed(shop.redis, 'confirm', idOf(order)), { due, key: due })
    }
    const assertNotTimed = async (order: Model) =>
      assert.deepEqual([await dueAt(order), await armed(shop.redis, 'confirm', idOf(order))], [null, NOT_ARMED])

    it('starts and ends timers by instances and in bulk', async () => {
      await open(true)
      const order = await Shaped.create(values('paid'))
      await assertNotTimed(order)
      await order.update({ [statusName]: statuses.shipped })
      await assertTimed(order)
      await order.update({ [statusName]: statuses.confirmed })
      await assertNotTimed(order)
      const some = [
        await Shaped.create(values('shipped')),
        ...(await Shaped.bulkCreate([values('shipped')])),
        await Shaped.create(values('placed')),
      ]
      const [created, bulk, placed] = some as [Model, Model, Model]
      await assertTimed(created)
      await assertTimed(bulk)
      const where = { [Shaped.primaryKeyAttribute]: { [Op.in]: some.map(idOf) } }
      const before = [await dueAt(created), await dueAt(bulk)]
      assert.deepEqual(await Shaped.unscoped().update({ [statusName]: String(statuses.shipped) }, { where }), [3])
      await assertTimed(placed)
      assert.deepEqual([await dueAt(created), await dueAt(bulk)], before)
      await Shaped.unscoped().update({ [statusName]: statuses.paid }, { where })
      assert.deepEqual([await dueAt(created), await dueAt(bulk), await dueAt(placed)], [null, null, null])
    })

    it('starts the timer of an order that is settled into "from"', async () => {
      await open(true)
      const order = await Shaped.create(values('placed', { [sinceName]: new Date(Date.now() - 3_600_000) }))
      await shop.worker()
      await waitUntil(async () => (await armed(shop.redis, 'confirm', idOf(order))).due !== null)
      await assertTimed(order)
    })

    it('starts and ends timers by the trigger', async () => {
      await open(false)
      for (const sql of triggerSql(runtimeOf(shop.timers).rules())) await shop.database.sequelize.query(sql)
      const order = await Shaped.create(values('paid'))
      const where = { [Shaped.primaryKeyAttribute]: idOf(order) }
      await Shaped.unscoped().update({ [statusName]: statuses.shipped }, { where, hooks: false })
      assert.ok(Math.abs(((await dueAt(order)) as number) - Date.now() - 86_400_000) < 60_000)
      await Shaped.unscoped().update({ [statusName]: statuses.confirmed }, { where, hooks: false })
      assert.equal(await dueAt(order), null)
    })
  })
}

describe('auto, on a status of CITEXT', () => {
  it('knows a status in any letter case, as Postgres does: no timer ends where the order stays', async () => {
    const shop = await openShop(({ sequelize }) => {
      const attributes = {
        id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
        status: DataTypes.CITEXT,
        dueAt: DataTypes.DATE,
      }
      const Lettered = sequelize.define('Lettered', attributes, { timestamps: false })
      return { confirm: transition(Lettered, { from: 'Shipped', to: 'Confirmed', deadline: 'dueAt', after: '24h', auto: true }) }
    })
    const { client, schema, sequelize } = shop.database
    await client.query(`CREATE EXTENSION citext SCHEMA "${schema}"`)
    const Lettered = sequelize.model('Lettered')
    await Lettered.sync()
    await shop.timers.check()
    const dueAt = async (order: Model) => ((await order.reload()).get('dueAt') as Date | null)?.getTime() ?? null
    const order = await Lettered.create({ status: 'SHIPPED' })
    const due = await dueAt(order)
    assert.ok(due)
    assert.equal((await armed(shop.redis, 'confirm', order.get('id') as number)).due, due)
    await order.update({ status: 'shipped' })
    assert.equal(await dueAt(order), due)
    await Lettered.update({ status: 'sHIPPED' }, { where: {} })
    assert.equal(await dueAt(order), due)
    await order.update({ status: 'confirmed' })
    assert.equal(await dueAt(order), null)
    await shop.close()
  })
})
