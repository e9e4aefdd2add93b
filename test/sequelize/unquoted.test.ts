// `quoteIdentifiers: false`: Postgres folds every name to lower case, and gives its columns so.

import assert from 'node:assert/strict'
import { DataTypes, type InitOptions, Model, type ModelStatic } from 'sequelize'
import { type Rules, transition } from '../../lib/index.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { armed } from '../support/armed.js'
import { openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

describe('a Sequelize that quotes no names', () => {
  let shop: Shop<Rules>
  let Sale: ModelStatic<Model>

  afterEach(() => shop.close())

  it('is checked, scheduled, hooked and settled, with the orders whole', async () => {
    const seen: unknown[] = []
    shop = await openShop(
      ({ sequelize }) => {
        Sale = class Sale extends Model {}
        Sale.init(
          { status: DataTypes.INTEGER, dueAt: DataTypes.DATE, payBy: DataTypes.DATE, leftMs: DataTypes.BIGINT, theNote: DataTypes.STRING },
          {
            ...{ sequelize, modelName: 'Sale', tableName: 'Sales' },
          } as InitOptions,
        )
        return {
          due: transition(Sale, {
            ...{ from: 4, to: 5, deadline: 'dueAt', after: '1h', pause: { keep: 'leftMs' }, history: true, where: { theNote: 'x' } },
            run: (orders: Model[]) => void seen.push(...orders.map((order) => [order.get('theNote'), order.get('dueAt')])),
          } as never),
          pay: transition(Sale, { from: 1, to: 4, deadline: 'payBy', after: '1h', auto: true } as never),
          old: transition(Sale, { from: 7, to: 8, since: 'createdAt', after: '1h' } as never),
        } as Rules
      },
      { database: { sequelize: { quoteIdentifiers: false } } },
    )
    await Sale.sync()
    for (const sql of History.createSql(HISTORY_TABLE)) await shop.database.client.query(sql)
    await shop.timers.check()
    const { rows } = await shop.database.client.query(
      `INSERT INTO sales (status, theNote, createdAt, updatedAt) VALUES (4, 'x', now(), now()), (7, 'x', now() - interval '2h', now()), (2, 'x', now(), now()) RETURNING id`,
    )
    const [due, old, unpaid] = rows.map(({ id }: { id: number }) => id) as [number, number, number]
    assert.ok((await shop.timers.schedule('due', due)).deadline)
    await shop.timers.pause('due', due)
    await shop.timers.resume('due', due)
    await Sale.update({ status: 1 }, { where: { id: unpaid } })
    assert.equal(typeof (await armed(shop.redis, 'pay', unpaid)).due, 'number')
    await shop.timers.schedule('due', due, { after: 1 })
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await waitUntil(async () => {
      const { rows } = await shop.database.client.query('SELECT status FROM sales WHERE id = ANY ($1) ORDER BY id', [[due, old]])
      return rows.map(({ status }) => status).join() === '5,8'
    })
    assert.deepEqual(seen, [['x', null]])
    assert.deepEqual(worker.health().faults, [])
  })
})
