// First, so that the namespace is there before any other test makes a Sequelize.

import assert from 'node:assert/strict'
import type { Transaction } from 'sequelize'
import type { OrderTimers } from '../../lib/index.js'
import { armed, NOT_ARMED } from '../support/armed.js'
import { ClsNamespace } from '../support/cls-namespace.js'
import { refusal, refused } from '../support/refused.js'
import { openShop, type Shop } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

describe('A transaction that is no use', () => {
  let shop: Shop<OneOfEach>
  let timers: OrderTimers<OneOfEach>
  let sequelize: Shop<OneOfEach>['database']['sequelize']
  let id: number
  const statements: string[] = []

  beforeEach(async () => {
    shop = await openShop(oneOfEach, { database: { sequelize: { logging: (sql) => void statements.push(sql), pool: { max: 5 } } } })
    timers = shop.timers
    sequelize = shop.database.sequelize
    id = await shop.order({ status: 4 })
    await timers.schedule('order_confirm', id)
    statements.length = 0
  })

  afterEach(() => shop.close())

  /** All calls that take a transaction, on each form of rule. */
  const calls = (transaction: Transaction): Record<string, () => Promise<unknown>> => ({
    'schedule order_confirm': () => timers.schedule('order_confirm', id, { transaction }),
    'schedule order_pay': () => timers.schedule('order_pay', id, { transaction }),
    'schedule order_ship': () => timers.schedule('order_ship', id, { transaction }),
    'schedule order_other': () => timers.schedule('order_other', 'a', { after: '1h', transaction }),
    'extend order_confirm': () => timers.extend('order_confirm', id, '1h', { transaction }),
    'cancel order_confirm': () => timers.cancel('order_confirm', id, { transaction }),
    'cancel order_other': () => timers.cancel('order_other', 'a', { transaction }),
    'remaining order_confirm': () => timers.remaining('order_confirm', id, { transaction }),
    list: () => timers.list(id, { transaction }),
  })

  const finished: Record<string, [how: string, make: () => Promise<Transaction>]> = {
    'that has committed': ['committed', async () => sequelize.transaction(async (transaction) => transaction)],
    'that was rolled back': [
      'rolled back',
      async () => {
        const transaction = await sequelize.transaction()
        await transaction.rollback()
        return transaction
      },
    ],
    'within one that has committed': [
      'committed',
      async () => {
        const outer = await sequelize.transaction()
        const inner = await sequelize.transaction({ transaction: outer })
        await outer.commit()
        return inner
      },
    ],
  }

  for (const [title, [how, make]] of Object.entries(finished)) {
    it(`${title} is refused by every call, and nothing is written or armed`, async () => {
      const transaction = await make()
      const before = await armed(shop.redis, 'order_confirm', id)
      statements.length = 0
      for (const [name, call] of Object.entries(calls(transaction))) {
        const { code, status, message } = await refused(call)
        assert.deepEqual([code, status], ['ERR_ORDER_TIMERS_TRANSACTION_FINISHED', 500], name)
        assert.ok(message.includes(`"transaction" was ${how} already, and nothing was written; await the call`), message)
      }
      assert.deepEqual(statements, [])
      assert.deepEqual(await armed(shop.redis, 'order_confirm', id), before)
      assert.deepEqual(await armed(shop.redis, 'order_other', 'a'), NOT_ARMED)
    })
  }

  it('since it is none, or is of another Sequelize, is refused by name', async () => {
    const other = shop.database.connectSequelize().sequelize
    const foreign = await other.transaction()
    const none =
      'orderTimers: order_confirm: "transaction" must be a Sequelize transaction, or null for none, got an object with the keys transaction'
    const wrong = { transaction: foreign } as unknown as Transaction
    assert.deepEqual(
      await refused(() => timers.schedule('order_confirm', id, { transaction: wrong })),
      refusal('INVALID_OPTION', 500, none),
    )
    const elsewhere =
      'orderTimers: order_confirm: "transaction" belongs to another Sequelize instance than the model; begin it with the model\'s own: Order.sequelize.transaction(…)'
    assert.deepEqual(
      await refused(() => timers.schedule('order_confirm', id, { transaction: foreign })),
      refusal('INVALID_OPTION', 500, elsewhere),
    )
    await foreign.rollback()
    for (const value of [true, 'tx', 7, [], () => {}] as never[])
      for (const [name, call] of Object.entries(calls(value)))
        assert.equal((await refused(call)).code, 'ERR_ORDER_TIMERS_INVALID_OPTION', name)
  })

  it('in which a statement has failed is named as the reason: no repetition of the call would help', async () => {
    await sequelize.transaction().then(async (transaction) => {
      await assert.rejects(sequelize.query('SELECT 1 / 0', { transaction }))
      for (const [name, call] of Object.entries(calls(transaction)).filter(([name]) => !name.includes('order_other'))) {
        const { code, status, message } = await refused(call)
        assert.deepEqual([code, status], ['ERR_ORDER_TIMERS_TRANSACTION_FINISHED', 500], name)
        assert.ok(message.includes('an earlier statement of this transaction failed') && message.includes('savepoint'), message)
      }
      await transaction.rollback()
    })
  })

  it('that a deadlock or a timeout ends is to be repeated as a whole: the call alone would be refused', async () => {
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT FROM orders WHERE id = $1 FOR UPDATE', [id])
    const transaction = await sequelize.transaction()
    await sequelize.query("SET LOCAL lock_timeout = '50ms'", { transaction })
    const { code, status, message } = await refused(() => timers.extend('order_confirm', id, '1h', { transaction }))
    assert.deepEqual([code, status], ['ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE', 503])
    assert.match(message, /, and with it your transaction has failed; let it roll back, and repeat it as a whole$/)
    await transaction.rollback()
    await holder.query('ROLLBACK')
  })

  it('of the CLS namespace that is of another Sequelize is named as such', async () => {
    const foreign = await shop.database.connectSequelize().sequelize.transaction()
    const namespace = ClsNamespace.use()
    try {
      await namespace.run(async () => {
        namespace.set('transaction', foreign)
        const { code, message } = await refused(() => timers.extend('order_confirm', id, '1h'))
        assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
        assert.match(message, /: the transaction of the CLS namespace belongs to another Sequelize .*; pass \{ transaction: null \}/)
      })
    } finally {
      namespace.end()
      await foreign.rollback()
    }
  })

  it('of the CLS namespace is refused where it is finished, and null asks for none', async () => {
    const namespace = ClsNamespace.use()
    try {
      const shopping = await sequelize.transaction(async (transaction) => transaction)
      await namespace.run(async () => {
        namespace.set('transaction', shopping)
        const { code, message } = await refused(() => timers.extend('order_confirm', id, '1h'))
        assert.equal(code, 'ERR_ORDER_TIMERS_TRANSACTION_FINISHED')
        assert.ok(message.includes('the transaction of the CLS namespace was committed already'), message)
        assert.equal((await timers.extend('order_confirm', id, '1h', { transaction: null })).armed, true)
      })
    } finally {
      namespace.end()
    }
  })

  it('by the time that the write is answered leaves no timer unarmed', async () => {
    const transaction = await sequelize.transaction()
    const scheduling = timers.schedule('order_confirm', id, { after: '2h', transaction })
    await waitUntil(() => statements.some((sql) => sql.includes('UPDATE')))
    await transaction.commit() // not awaited by the shop, as a forgotten await leaves it
    const { deadline } = await scheduling
    await waitUntil(async () => (await armed(shop.redis, 'order_confirm', id)).due === deadline?.getTime())
  })
})
