import assert from 'node:assert/strict'
import { DataTypes, Model } from 'sequelize'
import { transition } from '../../lib/index.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

describe('"individualHooks"', () => {
  class Parcel extends Model {}
  const rule = { from: 4, to: 5, deadline: 'dueAt', after: '24h', individualHooks: true, attempts: 1 } as const

  const open = async (options: object = {}, modelOptions: object = {}) => {
    const shop = await openShop(({ sequelize }) => {
      const columns = {
        status: DataTypes.INTEGER,
        dueAt: { type: DataTypes.DATE, field: 'due_at' },
        by: DataTypes.STRING,
        weight: DataTypes.INTEGER,
      }
      Parcel.init(columns, { sequelize, modelName: 'Parcel', tableName: 'parcels', ...modelOptions })
      return { order_confirm: transition(Parcel, { ...rule, ...options } as never) }
    })
    await Parcel.sync()
    return shop
  }
  const overdue = (values: object = {}) =>
    Parcel.create({ status: 4, weight: 3, dueAt: new Date(Date.now() - 1000), ...values }, { validate: false })

  it("runs the shop's hooks for each change, in the settling transaction: a cached order is dropped and not served stale", async () => {
    const shop = await open({ set: { by: 'timer' } })
    const { client } = shop.redis
    const cached = (id: unknown) => shop.key(`order:${id}`)
    const seen: unknown[] = []
    Parcel.addHook('beforeUpdate', (parcel, options) => {
      seen.push([parcel.get('id'), parcel.changed(), parcel.previous('status'), Boolean(options.transaction)])
    })
    Parcel.addHook('afterUpdate', async (parcel) => void (await client.del(cached(parcel.get('id')))))
    const parcels = [await overdue(), await overdue()]
    for (const parcel of parcels) await client.set(cached(parcel.get('id')), JSON.stringify(parcel), 'EX', 60)
    const worker = await shop.worker({ fallback: false })
    assert.equal(worker.settled.length, 2)
    assert.deepEqual(
      seen,
      parcels.map((parcel) => [parcel.get('id'), ['by', 'status', 'dueAt'], 4, true]),
    )
    assert.equal(await client.exists(...parcels.map((parcel) => cached(parcel.get('id')))), 0)
    const rows = await Parcel.findAll({ raw: true, attributes: ['status', 'dueAt', 'by'] })
    assert.deepEqual(rows, Array(2).fill({ status: 5, dueAt: null, by: 'timer' }))
    await shop.close()
  })

  it("counts a validator's refusal as a failure of the rule: that order is a dead letter, the others settle", async () => {
    const scales = function (this: Model) {
      if ((this.get('weight') as number) > 30) throw new Error('no connection to the scales')
    }
    const shop = await open({ set: { by: 'timer' } }, { validate: { scales } })
    const [fine, heavy, other] = [await overdue(), await overdue({ weight: 31 }), await overdue()]
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.deadTold.length && worker.settled.length === 2)
    assert.deepEqual(
      worker.deadTold.map(({ id, attempts, error }) => [id, attempts, (error as Error).message]),
      [[String(heavy.get('id')), 1, 'Validation error: no connection to the scales']],
    )
    const statuses = await Promise.all([fine, heavy, other].map(async (parcel) => (await parcel.reload()).get('status')))
    assert.deepEqual(statuses, [5, 4, 5])
    assert.deepEqual(worker.faultsTold, [])
    await shop.close()
  })

  it('keeps the version up to date: "run" can save the instance that it gets', async () => {
    const shop = await open(
      { run: async ([parcel]: Model[], { transaction }: never) => parcel?.update({ by: 'run' }, { transaction }) },
      { version: true },
    )
    const parcel = await overdue()
    await shop.worker({ fallback: false })
    await parcel.reload()
    assert.deepEqual([parcel.get('status'), parcel.get('by'), parcel.get('version')], [5, 'run', 2])
    await shop.close()
  })
})
