// A Sequelize that rules over rows cannot work with. Other dialects' drivers and other versions are not installed here: a Sequelize is made for
// the dialect with a driver that is never asked, and versions and internals are taken away from one that works.

import assert from 'node:assert/strict'
import { DataTypes, type Dialect, Model, type ModelStatic, type Options, Sequelize } from 'sequelize'
import { effect, type Rules, startExpiryWorker, transition } from '../../lib/index.js'
import { INTERNALS } from '../../lib/sequelize/probe.js'
import { refused } from '../support/refused.js'
import { makeTimers } from '../support/shop.js'

const RULES: [string, (model: ModelStatic<Model>) => object][] = [
  ['deadline', (model) => transition(model, { from: 4, to: 5, deadline: 'dueAt', after: '1h' } as never)],
  ['auto', (model) => transition(() => model, { from: 4, to: 5, deadline: 'dueAt', after: '1h', auto: true } as never)],
  ['since', (model) => transition(model, { from: 4, to: 5, since: 'dueAt', after: '1h' } as never)],
  ['deadline: false', (model) => transition(model, { from: 4, to: 5, deadline: false, after: '1h' } as never)],
  ['effect', (model) => effect(model, { where: { status: 4 }, since: 'dueAt', after: '1h', run: () => {} } as never)],
]

/** A class of its own for each, so that what is taken away from it is taken from nobody else. */
function saleOf(options: Options = {}): { Sale: ModelStatic<Model>; own: typeof Sequelize & Record<string, unknown> } {
  class OwnSequelize extends Sequelize {}
  class Sale extends Model {}
  const sequelize = new OwnSequelize({ dialect: 'postgres', logging: false, ...options })
  Sale.init({ status: DataTypes.INTEGER, dueAt: DataTypes.DATE }, { sequelize, modelName: 'Sale', timestamps: false })
  return { Sale, own: OwnSequelize as never }
}

/** Every way in which a rule is first used. */
async function messages(Sale: ModelStatic<Model>, rule: (model: ModelStatic<Model>) => object): Promise<string[]> {
  const timers = makeTimers({ order_confirm: rule(Sale) } as Rules, { redis: false, logger: false })
  try {
    const tries = [
      () => timers.check(),
      () => timers.schedule('order_confirm', 34, { after: '1h' } as never),
      () => timers.remaining('order_confirm', 34),
    ]
    const refusals = []
    for (const call of tries) refusals.push(await refused(call))
    for (const { code } of refusals) assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    const worker = await refused(() => startExpiryWorker(timers))
    assert.equal(worker.code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    return [...refusals, worker].map(({ message }) => message)
  } finally {
    await timers.close()
  }
}

describe('a Sequelize that does not serve is refused in words when a rule is first used:', () => {
  const dialects: [Dialect, object][] = [
    ['mysql', {}],
    ['mariadb', {}],
    ['sqlite', { Database: class {} }],
    ['mssql', { TYPES: {} }],
  ]
  for (const [dialect, driver] of dialects) {
    it(`the dialect ${dialect}, under every form of rule`, async () => {
      for (const [title, rule] of RULES) {
        const { Sale } = saleOf({ dialect, dialectModule: driver })
        for (const message of await messages(Sale, rule)) {
          assert.ok(
            message.includes(`Sale belongs to Sequelize 6.`) && message.includes(`with the dialect ${dialect}`),
            `${title}: ${message}`,
          )
          assert.match(
            message,
            /need Sequelize 6\.21 or a later 6\.x with the dialect postgres; give the rule a model that is kept in Postgres/,
          )
        }
      }
    })
  }

  for (const version of ['4.44.4', '5.22.5', '6.0.0', '6.12.0', '6.20.1', '7.0.0-alpha.43', '8.0.0', undefined]) {
    it(`the version ${version ?? 'unknown'}`, async () => {
      const { Sale, own } = saleOf()
      Object.defineProperty(own, 'version', { value: version })
      for (const message of await messages(Sale, (RULES[0] as (typeof RULES)[0])[1])) {
        assert.ok(message.includes(`Sale belongs to Sequelize ${version ?? 'of an unknown version'}`), message)
        assert.match(message, /npm install sequelize@6$/)
      }
    })
  }

  for (const { name } of INTERNALS) {
    it(`one without ${name}`, async () => {
      const { Sale, own } = saleOf()
      const sequelize = Sale.sequelize as unknown as Record<string, Record<string, unknown>>
      const [of, member] = name.split(/[.#](?=[^.#]+$)/) as [string, string]
      const holders: Record<string, () => object> = {
        queryGenerator: () => (Sale.sequelize as Sequelize).getQueryInterface().queryGenerator as object,
        Sequelize: () => own,
        'Sequelize.Utils': () => Object.defineProperty(own, 'Utils', { value: { ...(own.Utils as object) } }).Utils as object,
        Transaction: () => {
          class OwnTransaction extends (own.Transaction as new () => object) {}
          Object.defineProperty(own, 'Transaction', { value: OwnTransaction })
          return OwnTransaction.prototype
        },
        sequelize: () => sequelize,
        connectionManager: () => sequelize.connectionManager as object,
        Model: () => Sale,
      }
      Object.defineProperty((holders[of] as () => object)(), member, { value: undefined })
      for (const message of await messages(Sale, (RULES[0] as (typeof RULES)[0])[1])) {
        assert.ok(message.includes(`which lacks what is used of it: ${name} (`), message)
      }
    })
  }

  it('none that serves', async () => {
    const { Sale } = saleOf()
    for (const [, rule] of RULES) {
      const timers = makeTimers({ order_confirm: rule(Sale) } as Rules, { redis: false, logger: false })
      const { code } = await refused(() => timers.pause('order_confirm', 34))
      assert.match(code, /NOT_PAUSABLE|NOT_ON_SINCE/)
      await timers.close()
    }
  })
})
