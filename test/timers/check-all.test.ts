// `check()` names everything that is wrong in one error.

import assert from 'node:assert/strict'
import { DataTypes, literal, Model } from 'sequelize'
import { effect, OrderTimersError, transition } from '../../lib/index.js'
import type { Database } from '../support/database.js'
import { freePort } from '../support/free-port.js'
import { makeTimers, openShop } from '../support/shop.js'

/** Ten rules, each wrong in another way, and one that is right. */
function wrongRules({ Order }: Pick<Database, 'Order'>) {
  const since = { from: 1, to: 0, since: 'createdAt', after: '15m' } as const
  return {
    right: transition(Order, since),
    no_attribute: transition(Order, { ...since, since: 'creatdAt' as never }),
    no_date: transition(Order, { ...since, since: 'total' as never }),
    misspelt: transition(Order, { ...since, where: { pyaid: false } as never }),
    no_payments: transition(Order, { ...since, where: literal('NOT EXISTS (SELECT 1 FROM payments)') }),
    joined: transition(Order, { ...since, where: { '$user.name$': 'a' } as never }),
    wrong_status: transition(Order, { ...since, to: 'cancelled' }),
    no_column: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    no_history: transition(Order, { ...since, history: true }),
    wrong_set: transition(Order, { ...since, set: { total: literal(`'a'::text`) as never } }),
    wrong_effect: effect(Order, { where: literal('paid_at IS NULL'), since: 'updatedAt', after: '1h', run: () => {} }),
  }
}

describe('check() on a shop with ten wrong rules', () => {
  it('names all ten, each with its remedy, and Redis too, in one error', async () => {
    const shop = await openShop(({ Order }: Pick<Database, 'Order'>) => ({ right: wrongRules({ Order }).right }))
    await shop.database.client.query('ALTER TABLE orders DROP COLUMN "confirmDueAt"')
    const timers = makeTimers(wrongRules(shop.database), { redis: `redis://:geheim@127.0.0.1:${await freePort()}`, logger: false })
    const error = await timers.check().catch((error: unknown) => error)
    assert.ok(error instanceof OrderTimersError)
    const { problems = [], message } = error
    assert.deepEqual(
      problems.filter(({ kind }) => kind === 'right'),
      [],
    )
    const kinds = Object.keys(wrongRules(shop.database)).filter((kind) => kind !== 'right')
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      [...kinds, undefined],
    )
    for (const problem of problems) {
      assert.match(problem.code, /^ERR_ORDER_TIMERS_(?:INVALID_MODEL|INVALID_STATUS|REDIS_UNAVAILABLE)$/)
      assert.ok(message.includes(problem.message.replace(/^orderTimers: /, '')), problem.message)
      assert.match(problem.message, /; | must |its attributes are/)
      assert.doesNotMatch(problem.message, /geheim/)
    }
    assert.equal(error.status, 500)
    assert.equal(error.expose, false)
    await timers.close()
    await shop.close()
  })

  it('names the others also where a model throws an error without a code', async () => {
    const shop = await openShop((database) => {
      const { misspelt, no_payments } = wrongRules(database)
      const since = { from: 1, to: 0, since: 'createdAt', after: '15m' } as never
      class Broken extends Model {}
      Broken.init({ status: DataTypes.INTEGER }, { sequelize: database.sequelize })
      Broken.getTableName = () => {
        throw new TypeError('getTableName moved')
      }
      const absent = () => {
        throw new TypeError('the models are not loaded')
      }
      return { misspelt, absent: transition(absent as never, since), broken: transition(Broken as never, since), no_payments }
    })
    const { problems = [], message } = (await shop.timers.check().catch((error: unknown) => error)) as OrderTimersError
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      ['misspelt', 'absent', 'broken', 'no_payments'],
      message,
    )
    assert.match(message, /"absent": the function that returns the model threw \(the models are not loaded\)/)
    assert.match(message, /"broken": it could not be read \(getTableName moved\); .*report it/)
    await shop.close()
  })

  it('does not keep the right ones from being settled by a worker', async () => {
    const shop = await openShop(({ Order }: Pick<Database, 'Order'>) => {
      const { right, misspelt, no_payments, no_history } = wrongRules({ Order })
      return { misspelt, no_payments, no_history, right }
    })
    const id = await shop.order({ createdAt: new Date(Date.now() - 16 * 60_000) })
    const worker = await shop.worker()
    assert.equal(await shop.statusOf(id), 0)
    assert.deepEqual(
      worker.health().faults.map(({ code, kind }) => [code, kind]),
      ['misspelt', 'no_payments', 'no_history'].map((kind) => ['INVALID_MODEL', kind]),
    )
    await shop.close()
  })
})
