// The course that drain, lateness, workers and mixed share: timers pending, then n that come due, loaded before by one process
// and settled by others, which are up when the first deadline passes.
import { setTimeout as sleep } from 'node:timers/promises'
import { commitsOf, countUpdates, waitForCommits } from './commits.js'
import { addExternalKeys } from './external-keys.js'
import type { HiredChild } from './hired-child.js'
import { addOrders, DAY_MS, settleDown } from './orders.js'
import type { Site } from './site.js'
import type { SystemName } from './systems/index.js'

export interface Course {
  system: SystemName
  variant?: string | undefined
  n: number
  pending: number
  /** Between one deadline and the next; 0 where all are due at one instant. */
  spacingMs: number
  workers?: number
  externalKeys?: number
  patienceMs: number
  /** Done while orders come due, from this instant on. */
  meanwhile?: (dueAt: number) => Promise<void>
}

export interface Outcome {
  /** Of each settled order, from its deadline to its commit. */
  latenessMs: number[]
  /** Of each of these, milliseconds since 1970. */
  deadlines: number[]
  /** From the first deadline to the last commit. */
  elapsedMs: number
  /** Orders that each worker worked at. */
  handled: number[]
  /** Row updates from the first deadline on. */
  updates: number
  /** Of all workers, from their start until a moment after the last commit. */
  workerCpuMs: number
}

/** Timers that each system surely loads in a second, with time to spare. */
const LOADS_PER_SECOND: Record<SystemName, number> = {
  'express-order-timers': 12_000,
  bullmq: 8_000,
  'bee-queue': 10_000,
  'graphile-worker': 10_000,
  'pg-boss': 4_000,
  'setex-listener': 50_000,
  limit: 100_000,
}
const START_MS = 4_000
/** Each worker of a crew looks at all that comes due soon when it starts. */
const EACH_WORKER_MS = 2_000
const AT_LEAST_EARLY_MS = 200

export async function settle(site: Site, course: Course): Promise<Outcome> {
  const { system, variant, n, pending, spacingMs, workers = 1, externalKeys = 0, patienceMs, meanwhile } = course
  const { sql } = site.database
  const place = { ...site.place, variant }
  const [producer, ...crew] = (await Promise.all(Array.from({ length: workers + 1 }, () => site.hire()))) as [HiredChild, ...HiredChild[]]

  await addOrders(sql, { firstId: n + 1, count: pending, dueAt: Date.now() + DAY_MS })
  await producer.ask('produce', { system, place })
  await producer.ask('load', { firstId: n + 1, count: pending, dueAt: Date.now() + DAY_MS, spacingMs: 0 })
  await addExternalKeys(site.redis.client, externalKeys)
  await settleDown(sql)

  const dueAt = Date.now() + START_MS + workers * EACH_WORKER_MS + Math.ceil((n / LOADS_PER_SECOND[system]) * 1000)
  await addOrders(sql, { firstId: 1, count: n, dueAt, spacingMs })
  await producer.ask('load', { firstId: 1, count: n, dueAt, spacingMs })
  await producer.ask('closeProducer')
  await producer.end()
  // Timers are scheduled long before they come due: what scheduling left behind on the rows is cleared away by then.
  await sql.query('VACUUM ANALYZE orders')
  await Promise.all(crew.map((worker) => worker.ask('work', { system, order: { ...place, dueAt, spacingMs, n } })))
  const cpuOfCrew = async () => (await Promise.all(crew.map((worker) => worker.ask('cpuMs')))).reduce((sum, ms) => sum + ms, 0)
  const [updatesBefore, cpuBefore] = [await countUpdates(sql), await cpuOfCrew()]
  if (Date.now() > dueAt - AT_LEAST_EARLY_MS) throw new Error(`${system} was not ready when its timers came due: the machine is too busy`)

  await Promise.all([meanwhile?.(dueAt), waitForCommits(sql, { n, from: dueAt + n * spacingMs, patienceMs })])
  const commits = (await commitsOf(sql)).map(({ id, at }) => ({ at, deadline: dueAt + (id - 1) * spacingMs }))
  // A worker that works twice does it soon after.
  await sleep(300)
  const handled = await Promise.all(crew.map((worker) => worker.ask('handled')))
  const workerCpuMs = (await cpuOfCrew()) - cpuBefore
  await Promise.all(crew.map((worker) => worker.ask('closeWorker', undefined, 30_000).catch(() => {})))
  return {
    latenessMs: commits.map(({ at, deadline }) => at - deadline),
    deadlines: commits.map(({ deadline }) => deadline),
    elapsedMs: commits.reduce((last, { at }) => Math.max(last, at), dueAt) - dueAt,
    handled,
    updates: (await countUpdates(sql)) - updatesBefore,
    workerCpuMs,
  }
}
