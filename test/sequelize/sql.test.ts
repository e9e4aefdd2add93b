// Values and conditions of the shop's, as Postgres reads them: with signs that Sequelize's binder takes for parameters.

import assert from 'node:assert/strict'
import * as newest from 'sequelize'
import * as oldest from 'sequelize-oldest'
import { rows } from '../../lib/sequelize/database.js'
import { type AnyModel, columnsWhereSql, valueSql, whereClause, withoutBinding } from '../../lib/sequelize/sql.js'
import { type Database, openDatabase } from '../support/database.js'

const TEXTS = ['$1', 'US$5', 'US$5 for $1, $$2 and $$$3', '$$', "it's $", 'a\\$1']

const copies: [string, typeof newest][] = [
  ['the newest Sequelize 6', newest],
  ['the oldest', oldest as never],
]
for (const [title, { DataTypes, fn, literal, Model, Op, Sequelize, where }] of copies)
  describe(`By ${title}`, () => {
    class Parcel extends Model {}
    const model = Parcel as AnyModel
    let database: Database

    before(async () => {
      database = await openDatabase()
      Parcel.init({ label: DataTypes.TEXT }, { sequelize: new Sequelize({ dialect: 'postgres' }), modelName: 'Parcel', timestamps: false })
    })

    after(() => database.close())

    const forms: [string, (text: string) => unknown][] = [
      ['as a value', (text) => text],
      ['within an expression', (text) => fn('concat', text, '')],
      ['within an expression of another', (text) => fn('concat', fn('concat', '', text), '')],
      ['within a literal', (text) => literal(`'${text.replaceAll("'", "''")}'`)],
    ]
    for (const [form, of] of forms) {
      it(`a text ${form} is written as it is, bound or not`, async () => {
        for (const text of TEXTS) {
          const sql = valueSql(model, 'label', of(text))
          assert.deepEqual(await rows(database.sequelize, `SELECT ${sql} AS label, $1::text AS one`, ['a'], null), [
            { label: text, one: 'a' },
          ])
          assert.deepEqual(await rows(database.sequelize, `SELECT ${withoutBinding(sql)} AS label`, undefined, null), [{ label: text }])
        }
      })

      it(`a text ${form} is compared as it is, bound or not`, async () => {
        for (const text of TEXTS)
          for (const condition of [
            { label: { [Op.eq]: of(text) } },
            { [Op.and]: [where(fn('concat', literal('label')), of(text) as never)] },
          ]) {
            const from = 'SELECT count(*)::int AS n FROM (SELECT $1::text AS label) AS o'
            const bound = `${from} WHERE ${columnsWhereSql(model, condition as never, 'o')}`
            assert.deepEqual(await rows(database.sequelize, bound, [text], null), [{ n: 1 }], text)
            const parcel = `SELECT ${withoutBinding(valueSql(model, 'label', text))}::text AS label`
            const unbound = `SELECT count(*)::int AS n FROM (${parcel}) AS "Parcel" ${whereClause(model, condition)}`
            assert.deepEqual(await rows(database.sequelize, unbound, undefined, null), [{ n: 1 }], text)
          }
      })
    }
  })
