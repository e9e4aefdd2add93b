// `auto` under what a shop may have set for all its statements: each of its own calls gives what it gives without timers, and is armed.

import assert from 'node:assert/strict'
import type { Model, Options } from 'sequelize'
import { type HookedShop, openHooked } from '../auto/hooked.js'
import { armed } from '../support/armed.js'

const OPTIONS: [string, Options][] = [
  ['query: raw and nest', { query: { raw: true, nest: true } } as Options],
  ['query: nest', { query: { nest: true } } as Options],
  ['query: plain', { query: { plain: true } } as Options],
  ['query: a retry of everything', { query: { retry: { max: 3, match: [/./] } } } as Options],
  ['query: useMaster', { query: { useMaster: true } } as Options],
  ['minifyAliases', { minifyAliases: true }],
  ['typeValidation', { typeValidation: true }],
  ['omitNull', { omitNull: true }],
  ['isolationLevel', { isolationLevel: 'SERIALIZABLE' as never }],
  ['a prepended search path', { dialectOptions: { prependSearchPath: true } } as Options],
]

describe('"auto" on a Sequelize that sets for all its statements', () => {
  let shop: HookedShop

  afterEach(() => shop.close())

  for (const [title, sequelize] of OPTIONS) {
    for (const after of ['24h', () => '24h'] as const) {
      it(`${title}${typeof after === 'string' ? '' : ', "after" a function'}: arms what each call starts, and hands on nothing of ours`, async () => {
        shop = await openHooked({ database: { sequelize }, confirm: { after } })
        const { Hooked } = shop
        const idOf = async (values: object) => {
          await Hooked.bulkCreate([values as never])
          const { rows } = await shop.database.client.query('SELECT max(id) AS id FROM "hooked US$1"')
          return rows[0].id as number
        }
        const ids = { create: 0, save: 0, bulk: 0, returning: 0, increment: 0, bulkCreate: 0 }
        for (const call of ['save', 'bulk', 'returning', 'increment'] as const) ids[call] = await idOf({ state: 2 })
        const seen: unknown[] = []
        seen.push(await Hooked.create({ state: 4 }))
        ids.create = await idOf({ state: 4 })
        await Hooked.build({ id: ids.save, state: 2 }, { isNewRecord: false, raw: true }).update({ state: 4 })
        assert.deepEqual(await Hooked.update({ state: 4 }, { where: { id: ids.bulk } }), [1])
        const [count, returned] = await Hooked.update({ state: 4 }, { where: { id: ids.returning }, returning: true })
        assert.equal(count, 1)
        seen.push(...returned)
        await Hooked.increment({ state: 2 }, { where: { id: ids.increment } })
        const created = await Hooked.bulkCreate([{ state: 4 }])
        seen.push(...created)
        ids.bulkCreate = await idOf({ state: 4 })
        for (const [call, id] of Object.entries(ids)) {
          const { due } = await armed(shop.redis, 'confirm', id)
          const { rows } = await shop.database.client.query(
            `SELECT (extract(epoch FROM "due-at 'soon' $1") * 1000)::float8 AS due FROM "hooked US$1" WHERE id = $1`.replace(
              'id = $1',
              `id = ${id}`,
            ),
          )
          assert.equal(typeof due, 'number', call)
          assert.equal(due, rows[0].due, call)
        }
        for (const one of seen) {
          const values = (one as Model & { dataValues?: object }).dataValues ?? (one as object)
          assert.deepEqual(
            Object.keys(values).filter((name) => name.startsWith('order_timers')),
            [],
          )
        }
      })
    }
  }
})
