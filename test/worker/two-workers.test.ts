import assert from 'node:assert/strict'
import { startExpiryWorker, transition, type WorkerEvents } from '../../lib/index.js'
import { openDatabase } from '../support/database.js'
import type { OrderRow } from '../support/order.js'
import { openRedis } from '../support/redis.js'
import { makeTimers, watched } from '../support/shop.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'

const ORDERS = 10_000

describe('two workers', () => {
  it('settle 10,000 timers due within a second, each once, no row looked at twice, and each does a share', async function () {
    this.timeout(60_000)
    const database = await openDatabase()
    const redis = await openRedis()
    await database.client.query('CREATE TABLE effects (order_id int NOT NULL)')

    const processes = [1, 2].map(() => {
      const { sequelize, Order } = database.connectSequelize()
      const worked: number[] = []
      const run = async (orders: OrderRow[], { transaction }: { transaction: import('sequelize').Transaction }) => {
        worked.push(...orders.map(({ id }) => id))
        await sequelize.query(`INSERT INTO effects SELECT unnest($1::int[])`, { bind: [orders.map(({ id }) => id)], transaction })
      }
      const timers = makeTimers(
        { order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', run }) },
        { redis: redis.url, prefix: redis.prefix },
      )
      return { timers, worked }
    })
    const [soonest] = (
      await database.client.query(
        `INSERT INTO orders ("userId", total, status, "confirmDueAt", "createdAt", "updatedAt")
         SELECT 1, 1, 4, clock_timestamp() + interval '3 s' + n * interval '1 s' / $1, now(), now() FROM generate_series(1, $1) AS n
         RETURNING "confirmDueAt"`,
        [ORDERS],
      )
    ).rows
    const workers = processes.map(({ timers }) => watched(startExpiryWorker(timers, { fallback: false })))
    const swept = workers.map((worker) => waitForEvent<WorkerEvents['swept']>(worker, 'swept'))
    await Promise.all(workers.map((worker) => worker.ready))
    assert.ok(Date.now() < soonest.confirmDueAt.getTime(), 'the workers were up in time')
    const armed = (await Promise.all(swept)).reduce((sum, [{ armed }]) => sum + armed, 0)
    assert.equal(armed, ORDERS)

    const settled = () => workers.flatMap((worker) => worker.settled)
    await waitUntil(() => settled().length >= ORDERS, { within: 30_000, every: 50 })
    await waitUntil(() => workers.every((worker) => worker.health().busy === 0))

    assert.equal(settled().length, ORDERS)
    assert.equal(new Set(settled().map(({ id }) => id)).size, ORDERS)
    assert.deepEqual((await database.client.query('SELECT status, count(*)::int FROM orders GROUP BY status')).rows, [
      { status: 5, count: ORDERS },
    ])
    const effects = await database.client.query('SELECT count(*)::int AS all, count(DISTINCT order_id)::int AS orders FROM effects')
    assert.deepEqual(effects.rows, [{ all: ORDERS, orders: ORDERS }])
    assert.equal(
      processes.reduce((sum, { worked }) => sum + worked.length, 0),
      ORDERS,
    )
    assert.deepEqual([await database.ledger.early(), await database.ledger.twice()], [[], []])

    const looks = { failed: 0, dead: 0, early: 0, locked: 0, held: 0, gone: 0, undated: 0, cleared: 0 }
    for (const worker of workers) {
      const { settled: share, ...others } = worker.health().kinds.order_confirm as typeof looks & { settled: number }
      assert.deepEqual(others, looks)
      assert.ok(share > ORDERS / 100, `one of the workers settled ${share}`)
      assert.deepEqual(worker.faultsTold, [])
    }

    await Promise.all(workers.map((worker) => worker.stop()))
    await Promise.all(processes.map(({ timers }) => timers.close()))
    await redis.close()
    await database.close()
  })
})
