import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Sequelize, Transaction } from 'sequelize'
import { type OrderTimers, startExpiryWorker, transition } from '../../../lib/index.js'
import type { Database } from '../../support/database.js'
import { openShop, watched } from '../../support/shop.js'
import { inTurns } from '../../support/turns.js'
import { waitUntil } from '../../support/waiting.js'

const HOUR_AGO = () => new Date(Date.now() - 3_600_000)
const KINDS = ['first', 'second', 'third'] as const

describe('catching up after an outage', function () {
  this.timeout(60_000)

  type Run = (orders: { id: number }[], work: { transaction: Transaction }) => Promise<unknown>
  /** Three rules over the pool of the shop's own requests. */
  const rulesOf = ({ Order }: Database, run: Run) =>
    Object.fromEntries(
      KINDS.map((kind, i) => [kind, transition(Order, { from: 11 + i, to: 21 + i, since: 'createdAt', after: '15m', run })]),
    )
  const openWith = (run: Run, options: object = {}) =>
    openShop((database) => rulesOf(database, run), { database: { pool: { max: 5, acquire: 20_000 } }, ...options })
  /** So many orders of each rule, overdue and armed. */
  const overdue = async ({ database, timers }: { database: Database; timers: object }, each: number) => {
    const made = KINDS.flatMap((_, i) => Array.from({ length: each }, () => ({ status: 11 + i, createdAt: HOUR_AGO() })))
    const orders = await database.Order.bulkCreate(made, { returning: true })
    await inTurns(orders, (order) => (timers as OrderTimers).schedule(KINDS[order.status - 11] as string, order))
  }
  const inUse = (sequelize: Sequelize) => (sequelize.connectionManager as unknown as { pool: { using: number } }).pool.using

  /** Counts batches whose work is running, each until `letGo` is called. */
  const held = () => {
    const waiting: (() => void)[] = []
    let open = false
    const run = () => (open ? Promise.resolve() : new Promise<void>((resolve) => waiting.push(resolve)))
    const letGo = () => {
      open = true
      for (const go of waiting) go()
    }
    return { run, letGo, running: () => waiting.length }
  }

  it('takes half of the pool, so that a request of the shop gets a connection while the work of the rules hangs', async () => {
    const { run, letGo, running } = held()
    const shop = await openWith(run)
    const { sequelize } = shop.database
    await overdue(shop, 300)
    const started = shop.worker({ fallback: false })
    await waitUntil(() => running() === 2)
    const ones = await Promise.all(Array.from({ length: 3 }, () => sequelize.query('SELECT 1 AS one', { plain: true })))
    assert.deepEqual([ones, running()], [[{ one: 1 }, { one: 1 }, { one: 1 }], 2])
    letGo()
    await started
    await waitUntil(async () => (await settledOf(shop.database)) === 900)
    await shop.close()
  })

  const settledOf = ({ Order }: Database) => Order.count({ where: { status: [21, 22, 23] } })

  it('takes all of it where the worker is told so: then a request waits', async () => {
    const { run, letGo, running } = held()
    const shop = await openWith(run)
    const { sequelize } = shop.database
    await overdue(shop, 300)
    const started = shop.worker({ fallback: false, catchUp: 1 })
    await waitUntil(() => inUse(sequelize) === 5)
    const request = sequelize.query('SELECT 1 AS one', { plain: true })
    assert.equal(await Promise.race([request, delay(500, 'still waiting')]), 'still waiting')
    assert.ok(running() > 2)
    letGo()
    assert.deepEqual(await request, { one: 1 })
    await started
    await shop.close()
  })

  it('settles thousands while each request of the shop is answered within a second', async () => {
    const shop = await openWith((_, { transaction }) => shop.database.sequelize.query('SELECT pg_sleep(0.02)', { transaction }))
    const { sequelize } = shop.database
    await overdue(shop, 1_000)
    const slowest = { ms: 0, requests: 0 }
    const started = shop.worker({ fallback: false })
    while ((await settledOf(shop.database)) < 3_000) {
      const at = performance.now()
      await Promise.all(Array.from({ length: 3 }, () => sequelize.query('SELECT 1')))
      slowest.ms = Math.max(slowest.ms, performance.now() - at)
      slowest.requests += 1
      await delay(5)
    }
    await started
    assert.ok(slowest.requests > 10 && slowest.ms < 1_000, JSON.stringify(slowest))
    assert.deepEqual(await shop.database.ledger.twice(), [])
    await shop.close()
  })

  it('holds up nothing that is on time', async () => {
    const { run, letGo, running } = held()
    const shop = await openShop(
      (database) => ({
        ...rulesOf(database, run),
        prompt: transition(database.Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
      }),
      { database: { pool: { max: 5 } } },
    )
    await overdue(shop, 300)
    const started = shop.worker({ fallback: false })
    await waitUntil(() => running() === 2)
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('prompt' as never, id, { after: 1 })
    await waitUntil(async () => (await shop.statusOf(id)) === 5)
    assert.equal(running(), 2)
    letGo()
    await started
    await shop.close()
  })

  it('puts back at once what still waits for its share when the worker stops', async () => {
    const { run, letGo, running } = held()
    const shop = await openWith(run)
    await overdue(shop, 300)
    const worker = watched(startExpiryWorker(shop.timers, { fallback: false }))
    await waitUntil(() => running() === 2)
    const stopped = worker.stop()
    letGo()
    await stopped
    const { client, prefix } = shop.redis
    const counts = await Promise.all(KINDS.map((kind) => client.zcard(`${prefix}order-timers:{${kind}}:due`)))
    const waiting = counts.reduce((sum, one) => sum + one, 0)
    const settled = await settledOf(shop.database)
    assert.equal(waiting + settled, 900)
    assert.ok(settled > 0 && waiting >= 300, `${waiting} were put back`)
    await shop.close()
  })
})
