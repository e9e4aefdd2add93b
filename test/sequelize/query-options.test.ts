// What a shop may have set for all its statements, one case for each option, over everything that we ask of its Postgres.

import assert from 'node:assert/strict'
import { type Options, QueryTypes, Transaction } from 'sequelize'
import { type Rule, transition } from '../../lib/index.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { armed } from '../support/armed.js'
import { type Database, openDatabase } from '../support/database.js'
import type { OrderRow } from '../support/order.js'
import { refused } from '../support/refused.js'
import { openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

/** Options of `sequelize.query`, with values that change what a statement returns or where it runs. */
const QUERY: [title: string, query: object | ((database: Database) => object)][] = [
  ['raw and nest', { raw: true, nest: true }],
  ['raw: false', { raw: false }],
  ['nest', { nest: true }],
  ['plain', { plain: true }],
  ['a model, and what maps to it', ({ Order }) => ({ model: Order, mapToModel: true })],
  ['a field map', { fieldMap: { id: 'orderId', order_timers_id: 'x', deadline: 'd', now: 'then' } }],
  ['replacements', { replacements: { id: 1 } }],
  ['values to bind', { bind: ['x'] }],
  ['useMaster: false', { useMaster: false }],
  ['a search path', { searchPath: 'nowhere' }],
  ['a retry of everything', { retry: { max: 3, match: [/./], timeout: 1 } }],
  ['completesTransaction', { completesTransaction: true }],
  ['logging and benchmark', { logging: () => {}, benchmark: true, logQueryParameters: true }],
  ...Object.values(QueryTypes).map((type) => [`type: ${type}`, { type }] as [string, object]),
]

/** Options of the Sequelize itself that reach every statement. */
const WHOLE: [title: string, options: Options | ((database: Database) => Options)][] = [
  ['isolationLevel SERIALIZABLE', { isolationLevel: Transaction.ISOLATION_LEVELS.SERIALIZABLE }],
  ['a transaction type', { transactionType: Transaction.TYPES.EXCLUSIVE }],
  ['retries of its own', { retry: { max: 3, match: [/./] } }],
  ['minifyAliases', { minifyAliases: true }],
  ['typeValidation', { typeValidation: true }],
  ['omitNull', { omitNull: true }],
  ['keepDefaultTimezone and a timezone', { keepDefaultTimezone: true, timezone: '+08:00' } as Options],
  ['a prepended search path', ({ schema }) => ({ searchPath: schema, dialectOptions: { prependSearchPath: true, options: '' } }) as never],
  [
    'a prepended search path among the defaults of queries',
    ({ schema }) =>
      ({ searchPath: 'nowhere', query: { searchPath: schema }, dialectOptions: { prependSearchPath: true, options: '' } }) as never,
  ],
  [
    'a search path that no statement is to prepend',
    { searchPath: 'nowhere', query: { supportsSearchPath: false }, dialectOptions: { prependSearchPath: true } } as never,
  ],
  ['hooks on every query', { hooks: { beforeQuery: () => {}, afterQuery: () => {} } } as never],
  ['a pool of one', { pool: { max: 1 } }],
]

describe('a Sequelize that sets for all its statements', () => {
  let shop: Shop<{ order_confirm: Rule<'deadline', OrderRow>; order_pay: Rule<'since', OrderRow>; order_auto: Rule<'deadline', OrderRow> }>

  afterEach(() => shop.close())

  const open = async (options: (database: Database) => Options): Promise<void> => {
    shop = await openShop((database) => {
      const { Order } = database.connectSequelize(options(database))
      const after = (order: OrderRow) => (order.note === 'soon' ? 1 : '24h')
      const more = { history: true, brake: { max: 100, per: '1h' }, where: { total: 100 } } as const
      return {
        order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after, run: () => {}, ...more }),
        order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
        order_auto: transition(Order, { from: 7, to: 8, deadline: 'createdAt', after: '1h', auto: true, backfill: true }),
      }
    })
    const { client } = shop.database
    for (const sql of [...History.createSql(HISTORY_TABLE), ...Brake.createSql(BRAKE_TABLE)]) await client.query(sql)
    await client.query('ALTER TABLE orders ALTER COLUMN "createdAt" DROP NOT NULL') // it is a deadline of order_auto's, which may be none
  }

  /** Every call, every statement of a sweep, a settlement with instances and one without. */
  const works = async (): Promise<void> => {
    const { timers, database } = shop
    await timers.check()
    const [soon, extended] = [await shop.order({ status: 4, note: 'soon' }), await shop.order({ status: 4 })]
    assert.ok((await timers.schedule('order_confirm', soon)).deadline)
    const { deadline } = await timers.schedule('order_confirm', extended)
    const longer = await timers.extend('order_confirm', extended, '1h')
    assert.equal((longer.deadline as Date).getTime() - (deadline as Date).getTime(), 3_600_000)
    assert.equal((await armed(shop.redis, 'order_confirm', extended)).due, longer.deadline?.getTime())
    assert.equal(Math.round(((await timers.remaining('order_confirm', extended)) as number) / 3_600_000), 25)
    assert.equal((await timers.list(extended)).length, 1)
    const { code } = await refused(() => timers.cancel('order_confirm', 999_999))
    assert.equal(code, 'ERR_ORDER_TIMERS_ORDER_NOT_FOUND')
    assert.equal(await timers.release('order_confirm'), false)
    const unpaid = await shop.order({ createdAt: new Date(Date.now() - 16 * 60_000) })
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await waitUntil(async () => (await shop.statusOf(soon)) === 5 && (await shop.statusOf(unpaid)) === 0)
    await timers.cancel('order_confirm', extended)
    assert.equal((await database.Order.findByPk(extended))?.confirmDueAt, null)
    const { failed, dead } = worker.health().kinds.order_confirm as { failed: number; dead: number }
    assert.deepEqual([failed, dead, worker.health().faults], [0, 0, []])
    const { rows } = await database.client.query(`SELECT order_id FROM ${HISTORY_TABLE}`)
    assert.deepEqual(rows, [{ order_id: String(soon) }])
  }

  for (const [title, query] of QUERY) {
    it(`${title}: every statement of ours is as it would be`, async () => {
      await open((database) => ({ query: typeof query === 'function' ? query(database) : query }) as Options)
      await works()
    })
  }

  for (const [title, options] of WHOLE) {
    it(`${title}: every statement of ours is as it would be`, async () => {
      await open((database) => (typeof options === 'function' ? options(database) : options))
      await works()
    })
  }

  it('a transaction: ours are none of it', async () => {
    const database = await openDatabase()
    const other = await database.sequelize.transaction()
    try {
      await open(() => ({ query: { transaction: other } }) as Options)
      await works()
    } finally {
      await other.rollback()
      await database.close()
    }
  })
})
