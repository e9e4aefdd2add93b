// Healthy rolling restarts: workers are replaced one after the other while a web process schedules orders. No order is late or lost, no process reports a
// fault, and /ready is never red. ROLLING_SECONDS=3600 makes it an hour.

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { orderTimersHealth } from '../../lib/health.js'
import { confirmed, latest } from '../faults/confirming.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'
import { startWorkerProcess, type WorkerProcess, type WorkerReport } from '../support/worker-process.js'
import { makeRules } from './rolling-rules.js'

const SECONDS = Number(process.env.ROLLING_SECONDS ?? 60)
const WORKERS = 2

/** A worker is replaced after so long. */
const REPLACE_EVERY_MS = 5_000

/** On a busy machine a process takes a while to start. */
const READY_WITHIN_MS = 120_000

/** More than this is no question of who settles it. */
const LATE_MS = 5_000

describe('rolling restarts', function () {
  this.timeout(SECONDS * 1_000 + 2 * READY_WITHIN_MS)

  it(`for ${SECONDS} s make no order late and no process report a fault`, async () => {
    const shop = await openShop(({ Order }) => makeRules(Order))
    const health = orderTimersHealth(shop.timers)
    const workers: WorkerProcess[] = []
    const told: string[] = []
    const ids: number[] = []
    const endAt = performance.now() + SECONDS * 1_000
    const running = () => performance.now() < endAt

    const start = async () => {
      const { database, redis } = shop
      const config = { databaseUrl: database.url, schema: database.schema, redisUrl: redis.url, prefix: redis.prefix }
      const rules = new URL('./rolling-rules.ts', import.meta.url).href
      const worker = { ...config, rules, name: `worker ${workers.length}`, fallback: '* * * * *' }
      workers.push(await startWorkerProcess(worker, { readyWithin: READY_WITHIN_MS }))
    }
    const stop = async (worker: WorkerProcess) => {
      worker.send({ report: true })
      const { faults } = await worker.receive<WorkerReport>('report')
      told.push(...faults.map((fault) => `a worker: ${fault}`))
      assert.equal(await worker.stop(), 0)
    }
    const replace = async () => {
      while (running()) {
        await delay(Math.min(REPLACE_EVERY_MS, Math.max(0, endAt - performance.now())))
        await start()
        await stop(workers.shift() as WorkerProcess)
      }
    }
    const schedule = async () => {
      for (let next = 0; running(); next += 1) {
        const order = await shop.database.Order.create({ status: 4 })
        await shop.timers.schedule('order_confirm', order, { after: 500 + (next % 20) * 100 })
        ids.push(order.id)
        await delay(50)
      }
    }
    const look = async () => {
      for (; running(); await delay(1_000)) {
        told.push(...shop.timers.health().faults.map(({ message }) => `the web process: ${message}`))
        const { status, checks } = await health.ready()
        if (status === 'failing') told.push(`/ready: ${JSON.stringify(checks)}`)
      }
    }

    for (let i = 0; i < WORKERS; i += 1) await start()
    await Promise.all([replace(), schedule(), look()])
    await waitUntil(async () => (await health.ready()).status === 'ok', { what: '/ready to be ok at the end' })
    await confirmed(shop, ids.length)
    assert.ok(ids.length > SECONDS, `${ids.length} orders`)
    const lateMs = await latest(shop.database, ids)
    assert.ok(lateMs < LATE_MS, `late by ${lateMs} ms`)
    for (const worker of workers) await stop(worker)
    assert.deepEqual(told, [])
    await shop.close()
  })
})
