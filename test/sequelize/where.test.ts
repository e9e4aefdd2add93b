// A `where` that this copy of Sequelize does not read holds nothing back, and so is refused; one that `findAll` reads is rendered as it is there.

import assert from 'node:assert/strict'
import * as newest from 'sequelize'
import * as oldest from 'sequelize-oldest'
import { RowGuard } from '../../lib/rows/guard.js'
import { OrderTable } from '../../lib/rows/order-table.js'
import type { AnyModel } from '../../lib/sequelize/sql.js'

const { Op } = newest

class PaidFilter {
  isPaid = false
}
class Empty {}

/** A model of one copy of Sequelize, and the expressions of another. Nothing connects. */
function modelOf({ Sequelize, DataTypes }: typeof newest): AnyModel {
  const sequelize = new Sequelize({ dialect: 'postgres', logging: false })
  const { INTEGER, BOOLEAN, STRING, JSONB, DATE } = DataTypes
  const attributes = { status: INTEGER, isPaid: { type: BOOLEAN, field: 'is_paid' }, country: STRING, details: JSONB, dueAt: DATE }
  return sequelize.define('Order', attributes, { tableName: 'orders', timestamps: false }) as unknown as AnyModel
}

const guardOf = (model: AnyModel, options: object) =>
  new RowGuard(OrderTable.of('order_pay', model), {
    applies: { status: 'status', from: [1] },
    deadline: { option: '"deadline"', attribute: 'dueAt', plusMs: 0 },
    staleAfterMs: 1,
    ...options,
  } as never)

const copies: [string, typeof newest, typeof newest][] = [
  ['the newest Sequelize 6', newest, oldest as never],
  ['the oldest', oldest as never, newest],
]
for (const [title, copy, other] of copies)
  describe(`A "where" of ${title}`, () => {
    const model = modelOf(copy)
    const foreign = other.literal('is_paid = FALSE')
    const own = copy.literal('is_paid = FALSE')

    const unread: [string, unknown][] = [
      ['an expression of another copy', foreign],
      ['an instance of a class', new PaidFilter()],
      ['a function', () => ({ isPaid: false })],
      ['a number', 1],
      ['true', true],
      ['a date', new Date()],
      ['bytes', Buffer.from('a')],
      ['a Map', new Map([['isPaid', false]])],
      ['such an expression among others', { [Op.and]: [{ country: 'TW' }, foreign] }],
      ['an empty instance among others', { [Op.and]: [{ country: 'TW' }, new Empty()] }],
      ['a number among others', { [Op.or]: [{ country: 'TW' }, 1] }],
      ['such an expression under not', { [Op.not]: foreign }],
      ['it in a list', [{ country: 'TW' }, new PaidFilter()]],
      ['it as a value', { isPaid: foreign }],
      ['it behind an operator', { country: { [Op.ne]: foreign } }],
      ['it in a list of values', { country: { [Op.notIn]: ['TW', foreign] } }],
      ['it within an expression of this copy', copy.where(copy.fn('lower', foreign as never), '=' as never, 'tw' as never)],
    ]
    for (const [what, where] of unread)
      it(`is refused where it is, or has, ${what}`, () => {
        const wrong = /^orderTimers: rule "order_pay": .* must be a "where" as Sequelize's findAll takes it \(/
        const refused = { code: 'ERR_ORDER_TIMERS_INVALID_MODEL', message: wrong }
        assert.throws(() => guardOf(model, { where }), refused)
        assert.throws(() => guardOf(model, { pausedWhile: where }), refused)
        assert.throws(() => guardOf(model, { applies: { where } }), refused)
        if (typeof where !== 'object') return
        const scoped = model.scope({ where } as never)
        assert.throws(() => guardOf(scoped, {}), refused)
      })

    it('is refused where it says nothing, of a rule that it alone limits', () => {
      for (const where of [{}, [], [[]], [{}]])
        assert.throws(() => guardOf(model, { applies: { where } }), { message: /must be a condition on a row/ })
    })

    const read: [string, unknown, RegExp][] = [
      ['its own expression', own, /^\(is_paid = FALSE\)$/],
      ['its own among others', { [Op.and]: [own, { isPaid: true }] }, /is_paid = FALSE AND "Order"\."is_paid" = true/],
      ['what is left out among others', { [Op.and]: [false, null, undefined, { isPaid: true }] }, /"Order"\."is_paid" = true/],
      ['dates and texts', { dueAt: { [Op.lt]: new Date(0) }, country: 'TW' }, /1970-01-01.*"Order"\."country" = 'TW'/],
      ['an object for JSON', { details: { kind: 'gift' } }, /"details"#>>'\{kind\}'/],
    ]
    for (const [what, where, sql] of read)
      it(`is read where it has ${what}`, () => {
        assert.match(guardOf(model, { where }).whereSql ?? '', sql)
      })

    it("names columns under the shop's own names for operators, and finds tables that are not joined there", () => {
      const aliased = modelOf(copy)
      // What the option `operatorsAliases` does, without its warning that it is deprecated.
      const { queryGenerator } = (aliased.sequelize as newest.Sequelize).getQueryInterface() as unknown as {
        queryGenerator: { setOperatorsAliases(aliases: object): void }
      }
      queryGenerator.setOperatorsAliases({ $or: Op.or, $and: Op.and, $not: Op.not, $eq: Op.eq })
      const where = { $or: [{ isPaid: true }, { $and: [{ isPaid: { $eq: false } }, { country: 'TW' }] }] }
      assert.doesNotMatch(guardOf(aliased, { where }).whereSql ?? '', /isPaid/)
      assert.throws(() => guardOf(aliased, { where: { $or: [{ country: 'TW' }, { '$user.isPaid$': true }] } }), {
        message: /names "\$user\.isPaid\$", a column of another table/,
      })
      assert.throws(() => guardOf(aliased, { where: { $and: [{ country: 'TW' }, new Empty()] } }), { message: /does not know/ })
    })

    it('is no way for a value of "set" that would be written as a text of an object', () => {
      const table = OrderTable.of('order_pay', model)
      assert.throws(() => table.assignments({ country: other.fn('now') }), {
        message: /"set.country" must be a value, or an expression of/,
      })
      assert.deepEqual(table.assignments({ details: { kind: 'gift' }, country: copy.fn('now') }).length, 2)
    })
  })
