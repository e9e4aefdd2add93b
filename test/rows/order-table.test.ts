// A shop's models, and their tables, may be called anything: nothing within our statements has such a name.

import assert from 'node:assert/strict'
import { type CreationOptional, DataTypes, type InferAttributes, type InferCreationAttributes, type Model } from 'sequelize'
import { type AnyRule, effect, transition } from '../../lib/index.js'
import { Brake } from '../../lib/rows/brake.js'
import { History } from '../../lib/rows/history.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

interface Row extends Model<InferAttributes<Row>, InferCreationAttributes<Row>> {
  id: CreationOptional<number>
  status: number
  dueAt: Date | null
  leftMs: number | null
}

/** Words that stand, or have stood, for something within a statement. */
const NAMES = ['due', 'old', 'moved', 'recorded', 'away', 'told', 'marked', 'lock', 'member']

describe('A model', () => {
  for (const name of NAMES)
    it(`may be called ${name}, as its table is`, async () => {
      const shop = await openShop(({ sequelize }) => {
        const model = sequelize.define<Row>(
          name,
          {
            id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
            status: DataTypes.INTEGER,
            dueAt: DataTypes.DATE,
            leftMs: DataTypes.BIGINT,
          },
          { tableName: name, timestamps: false },
        )
        const kept = { pause: { keep: 'leftMs', while: { leftMs: -1 } }, backfill: true, history: true } as const
        const rules: Record<string, AnyRule> = {
          confirm: transition(model, {
            ...{ from: 4, to: 5, deadline: 'dueAt', after: '24h', brake: { max: 9, per: '1h' }, ...kept, afterCommit: () => {} },
            reminders: [{ before: '2h', run: () => {} }],
          }),
          close: effect(model, {
            ...{ where: { status: 6 }, since: 'dueAt', after: '1h', history: true },
            run: (found, { transaction }) => model.update({ status: 7 }, { where: { id: found.map(({ id }) => id) }, transaction }),
          }),
        }
        return rules
      })
      const { client, sequelize } = shop.database
      const model = sequelize.model(name)
      await model.sync()
      for (const sql of [...History.createSql('order_timers_history'), ...Brake.createSql('order_timers_brakes')]) await client.query(sql)
      await shop.timers.check()
      const one = (await model.create({ status: 4, dueAt: new Date(Date.now() - 1_000) })).get('id') as number
      const other = (await model.create({ status: 4 })).get('id') as number
      await shop.timers.schedule('confirm', other, { after: 7_199_000 }) // which reminds within a second
      const worker = await shop.worker({ fallback: '* * * * * *' })
      await waitUntil(() => worker.settled.some(({ id }) => id === String(one)))
      await waitUntil(async () => (await client.query("SELECT FROM order_timers_history WHERE reminder <> ''")).rowCount === 1)
      assert.deepEqual(worker.health().faults, [])
      await shop.close()
    })
})

describe('A status that is given as a number', () => {
  const types = { STRING: DataTypes.STRING(20), TEXT: DataTypes.TEXT, CHAR: DataTypes.CHAR(4), ENUM: DataTypes.ENUM('4', '5') }
  for (const [name, type] of Object.entries(types))
    it(`is a text where the attribute is ${name}`, async () => {
      const shop = await openShop(({ sequelize }) => {
        const id = { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true }
        const model = sequelize.define('Worded', { id, status: type, dueAt: DataTypes.DATE }, { timestamps: false })
        return { confirm: transition(model, { from: 4, to: 5, deadline: 'dueAt', after: '24h' }) }
      })
      const model = shop.database.sequelize.model('Worded')
      await model.sync()
      await shop.timers.check()
      const order = await model.create({ status: '4', dueAt: new Date(Date.now() - 1_000) })
      await shop.worker({ fallback: '* * * * * *' })
      await waitUntil(async () => String((await order.reload()).get('status')).trim() === '5')
      await shop.close()
    })
})
