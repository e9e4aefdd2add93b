// Workers that are stopped for five seconds, or killed, at each step of a settlement. A proxy holds the request with which the step begins;
// the process is stopped, and the request goes on: so its answer waits for the process, as it would. Another worker, of this process, carries on.

import assert from 'node:assert/strict'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { holdsFor, inTime, waitUntil } from '../support/waiting.js'
import { startWorkerProcess, type WorkerReport } from '../support/worker-process.js'
import * as calling from './calling-rules.js'
import { confirmed, countIn, EVERY_SECOND, ship, shipUnarmed } from './confirming.js'
import { closeProxies, createEffects, effectsWereOnce, openProxies, workerConfig } from './own-worker.js'
import { scriptRequest } from './script-request.js'
import { makeRules, TOLD_TABLE } from './telling-rules.js'

const STOPPED_MS = 5_000
const ORDERS = 20
/** Several processes start at the same time. */
const READY = { readyWithin: 60_000 }

interface Step {
  step: string
  server: 'redis' | 'postgres'
  request: string | string[]
  /** Found by a sweep, instead of claimed when they are due. */
  swept?: boolean
  /** Nothing holds the rows, so that another worker settles them while this one stands still. */
  free?: boolean
  holdsSweepLock?: boolean
}

const STEPS: Step[][] = [
  [
    { step: 'waiting for the answer to a claim', server: 'redis', request: scriptRequest('orderTimersClaim'), free: true },
    { step: 'while a sweep reads', server: 'postgres', request: 'pg_try_advisory_xact_lock(', swept: true, holdsSweepLock: true },
    { step: 'while a sweep claims', server: 'redis', request: scriptRequest('orderTimersTake'), swept: true, free: true },
    { step: 'while rows are locked and updated', server: 'postgres', request: 'SKIP LOCKED' },
  ],
  [
    { step: 'in run', server: 'postgres', request: 'INSERT INTO effects' },
    { step: 'at the end of run', server: 'postgres', request: 'run ends' },
    { step: 'before COMMIT', server: 'postgres', request: 'AS still_open' },
    { step: 'during COMMIT', server: 'postgres', request: 'COMMIT' },
  ],
  [
    { step: 'at the beginning of afterCommit', server: 'postgres', request: 'telling begins' },
    { step: 'at the end of afterCommit', server: 'postgres', request: 'telling ends' },
    { step: 'while it notes that afterCommit has succeeded', server: 'postgres', request: 'next_try = NULL' },
    { step: 'while it ends its claim', server: 'redis', request: scriptRequest('orderTimersFinish') },
  ],
]

/** A worker for a step, behind proxies. */
async function open({ swept = false }: Step) {
  const shop = await openShop(({ Order, sequelize }) => makeRules(Order, sequelize))
  await createEffects(shop)
  for (const sql of [...History.createSql(HISTORY_TABLE), TOLD_TABLE]) await shop.database.client.query(sql)
  const proxies = await openProxies(shop)
  const rules = new URL('./telling-rules.ts', import.meta.url).href
  const config = { ...workerConfig(shop, 'worker', proxies), rules, leaseMs: undefined, fallback: swept ? EVERY_SECOND : false } as const
  const worker = await startWorkerProcess(config, READY)
  const close = async () => {
    await closeProxies(proxies)
    await shop.close()
  }
  return { shop, worker, proxies, close }
}

type Opened = Awaited<ReturnType<typeof open>>

/** Orders come due, and the first worker comes to the step. */
async function reach({ server, request, swept }: Step, { shop, proxies }: Opened) {
  if (swept) await shipUnarmed(shop.database, ORDERS, -60_000)
  const point = proxies[server].hold(request)
  if (!swept) await ship(shop, ORDERS, 300)
  await inTime(point.seen, 15_000, `the worker to come to "${request}"`)
  return point
}

/** All steps are taken at the same time, once all processes run. */
async function atEach(steps: readonly Step[], act: (step: Step, opened: Opened) => Promise<void>): Promise<void> {
  const opened = await Promise.all(steps.map(open))
  const results = await Promise.allSettled(steps.map((step, i) => act(step, opened[i] as Opened)))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

async function keysTold({ database }: { database: { client: { query(sql: string): Promise<{ rows: { key: string }[] }> } } }) {
  return (await database.client.query('SELECT key FROM told')).rows.map(({ key }) => key)
}

function counted(worker: TestWorker): [failed: number, dead: number] {
  const { failed, dead } = worker.health().kinds.order_confirm!
  return [failed, dead]
}

async function stopAt(step: Step, opened: Opened): Promise<void> {
  const { shop, worker, close } = opened
  const point = await reach(step, opened)
  worker.pause()
  point.release()
  const other = await shop.worker({ fallback: EVERY_SECOND })
  if (step.free) await confirmed(shop, ORDERS, STOPPED_MS - 500)
  await holdsFor(step.free ? 1_500 : STOPPED_MS, async () => (await countIn(shop.database, 4)) >= 0, { every: 250 })
  worker.resume()
  await confirmed(shop, ORDERS, 10_000)
  await effectsWereOnce(shop, ORDERS)
  await waitUntil(async () => (await keysTold(shop)).length >= ORDERS)
  worker.send({ report: true })
  const { failed, dead, faults } = await worker.receive<WorkerReport>('report')
  assert.deepEqual({ failed, dead, faults }, { failed: 0, dead: 0, faults: [] }, step.step)
  assert.equal(await worker.stop(), 0)
  // Who stands still in a sweep keeps the others from reading for five intervals, and they say so.
  const untrue = other.faultsTold.filter(({ code }) => !(step.holdsSweepLock && code === 'SWEEP_BLOCKED'))
  assert.deepEqual([...counted(other), untrue], [0, 0, []], step.step)
  const keys = await keysTold(shop)
  assert.deepEqual([keys.length, new Set(keys).size], [ORDERS, ORDERS], step.step)
  const { rows } = await shop.database.client.query(`SELECT DISTINCT attempts, next_try, error FROM ${HISTORY_TABLE}`)
  assert.deepEqual(rows, [{ attempts: 1, next_try: null, error: null }], step.step)
  await close()
}

async function killAt(step: Step, opened: Opened): Promise<void> {
  const { shop, worker, close } = opened
  await reach(step, opened)
  await worker.kill()
  const other = await shop.worker({ fallback: EVERY_SECOND })
  await confirmed(shop, ORDERS, 6_000)
  await effectsWereOnce(shop, ORDERS)
  // What it had not told of is told when its grace period has passed.
  await shop.database.client.query(
    `UPDATE ${HISTORY_TABLE} SET next_try = now() WHERE next_try IS NOT NULL AND worker NOT LIKE '%:${process.pid}'`,
  )
  const undelivered = `SELECT 1 FROM ${HISTORY_TABLE} WHERE next_try IS NOT NULL`
  await waitUntil(async () => (await shop.database.client.query(undelivered)).rowCount === 0, { within: 10_000 })
  assert.equal(new Set(await keysTold(shop)).size, ORDERS, step.step)
  assert.deepEqual(counted(other), [0, 0], step.step)
  await close()
}

describe('A worker that stands still for five seconds', () => {
  for (const steps of STEPS) {
    it(`${steps.map(({ step }) => step).join('; ')}: one commit, one attempt, one key`, async () => {
      await atEach(steps, stopAt)
    }).timeout(120_000)
  }
})

describe('A worker that is killed', () => {
  for (const steps of STEPS) {
    it(`${steps.map(({ step }) => step).join('; ')}: one commit, one key`, async () => {
      await atEach(steps, killAt)
    }).timeout(120_000)
  }
})

describe('A worker that stood still while another followed the expired keys of another service', () => {
  it('calls a plain function for none of them again', async () => {
    const shop = await openShop(({ Order, sequelize }) => calling.makeRules(Order, sequelize))
    await createEffects(shop)
    const rules = new URL('./calling-rules.ts', import.meta.url).href
    const still = await startWorkerProcess({ ...workerConfig(shop, 'worker'), rules, fallback: false }, READY)
    const worker = await shop.worker({ fallback: false })
    const called = async (id: number) => {
      const { rows } = await shop.database.client.query('SELECT 1 FROM effects WHERE order_id = $1', [id])
      return rows.length > 0
    }
    const expire = async (id: number, afterMs: number) => {
      await shop.redis.client.set(shop.key(`order_other:${id}`), '1', 'PX', afterMs)
      await waitUntil(() => called(id))
    }
    still.pause()
    await expire(34, 10)
    await expire(35, 2_000) // longer than a tombstone lasts
    await worker.stop()
    still.resume()
    await expire(36, 10)
    await effectsWereOnce(shop, 3)
    await still.stop()
    await shop.close()
  }).timeout(90_000)
})
