// How long `extendAll` takes over many orders, killed three times and resumed, and what the shop's own requests notice of it: 50 a second,
// each of which schedules an order of its own. A worker runs beside it, and the last orders come due long before the run reaches them. Checks that
// each order was moved once, by exactly three days, and that none was settled.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type pg from 'pg'
import { ACTIONS_TABLE, ActionsTable } from '../../lib/rows/actions-table.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { RUNS_TABLE, RunsTable } from '../../lib/rows/runs-table.js'
import { SHIPPED } from '../order.js'
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import type { Site } from '../site.js'
import { OURS } from '../systems/index.js'
import { OutOfTime, type Scenario } from './scenario.js'

/** Ids of the requests' own orders. */
const OF_REQUESTS = 20_000
const PER_SECOND = 50
const KILLS = [0.25, 0.5, 0.75]

/** So many of the last orders come due while the run is under way, beginning so long after it has been asked for. */
const DUE_MEANWHILE = 1_000
const DUE_IN_MS = 15_000

/** The first requests open connections, and their code is not compiled yet. */
const WARM_MS = 3_000
const ALONE_MS = 5_000
/** For all four parts of the run: with it the scenario ends within five minutes. */
const LIMIT_MS = 180_000

const RUNNER = fileURLToPath(new URL('../bulk-runner.ts', import.meta.url))

export const bulk: Scenario = {
  name: 'bulk',
  title: 'extendAll over many orders, killed three times and resumed, beside 50 requests a second',
  systems: [OURS],
  n: 0,
  pendings: [1_000_000],
  rounds: 1,
  entries: (system, n, pending) => [{ system, n, pending }],
  run: async (site, { pending }) => {
    const { sql } = site.database
    await addTables(sql)
    await addOrders(sql, { firstId: 1, count: OF_REQUESTS, dueAt: null })
    await sql.query(`UPDATE orders SET note = 'of a request'`)
    await addOrders(sql, { firstId: OF_REQUESTS + 1, count: pending, dueAt: Date.now() + DAY_MS, spacingMs: 1 })
    await settleDown(sql)
    const [web, worker] = await Promise.all([site.hire(), site.hire()])
    const port = await web.ask('serveExpress', { place: site.place, passed: 'the timers' })
    await worker.ask('work', { system: OURS, order: { ...site.place, dueAt: 0, n: 0 } })
    const url = `http://127.0.0.1:${port}/ship`
    await requests(url, sleep(WARM_MS))
    const alone = await requests(url, sleep(ALONE_MS))
    await makeDueMeanwhile(sql, pending)
    const walBefore = await walOf(site)

    const startedAt = performance.now()
    let elapsedMs = 0
    const run = killedAndResumed(site, pending).then(() => {
      elapsedMs = performance.now() - startedAt
    })
    const beside = await requests(url, run)
    await run
    const walMegabytes = ((await walOf(site)) - walBefore) / 1_000_000
    await checkMovedOnce(sql)
    return {
      perSecond: pending / (elapsedMs / 1_000),
      detail: {
        ...{ tookSeconds: elapsedMs / 1_000, requests: beside.length, requestsP99Ms: p99(beside), slowestRequestMs: Math.max(...beside) },
        ...{ requestsAloneP99Ms: p99(alone), walMegabytes },
      },
    }
  },
}

async function addTables(sql: pg.Client): Promise<void> {
  const own = [ActionsTable.createSql(ACTIONS_TABLE), Holds.createSql(HOLDS_TABLE), RunsTable.createSql(RUNS_TABLE)].flat()
  for (const statement of own) await sql.query(statement)
}

/** And remembers what each deadline is. */
async function makeDueMeanwhile(sql: pg.Client, pending: number): Promise<void> {
  const firstId = OF_REQUESTS + pending - Math.min(pending, DUE_MEANWHILE)
  await sql.query(`CREATE TABLE deadlines AS SELECT id, "confirmDueAt" FROM orders WHERE id > ${OF_REQUESTS} AND id <= ${firstId}`)
  await sql.query('CHECKPOINT')
  await sql.query(
    `WITH due AS (
       UPDATE orders SET "confirmDueAt" = date_trunc('milliseconds', now()) + (id - $1 + $2::int) * interval '1 ms' WHERE id > $1
       RETURNING id, "confirmDueAt"
     ) INSERT INTO deadlines SELECT * FROM due`,
    [firstId, DUE_IN_MS],
  )
}

async function checkMovedOnce(sql: pg.Client): Promise<void> {
  const { rows } = await sql.query(
    `SELECT count(*)::int AS wrong FROM deadlines AS before LEFT JOIN orders USING (id)
       WHERE status <> ${SHIPPED} OR orders."confirmDueAt" IS DISTINCT FROM before."confirmDueAt" + interval '72 hours'`,
  )
  if (rows[0].wrong !== 0) throw new Error(`${rows[0].wrong} orders were settled, or not moved once`)
}

async function killedAndResumed(site: Site, pending: number): Promise<void> {
  const endsAt = performance.now() + LIMIT_MS
  let moved = 0
  for (const [number, share] of [...KILLS, 1].entries()) {
    const config = { ...site.place, note: 'leave it at the door', resume: number > 0 }
    const child: ChildProcess = fork(RUNNER, [JSON.stringify(config)], {
      execArgv: process.execArgv,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const exited = once(child, 'exit')
    const limit = setTimeout(() => child.kill('SIGKILL'), Math.max(0, endsAt - performance.now()))
    let ended = false
    child.on('message', (message: { moved?: number; ended?: number }) => {
      moved = message.moved ?? message.ended ?? moved
      ended ||= message.ended !== undefined
      if (moved >= share * pending && share < 1) child.kill('SIGKILL')
    })
    await exited
    clearTimeout(limit)
    if (!ended && performance.now() >= endsAt) throw new OutOfTime(`${moved} of ${pending} orders were moved in ${LIMIT_MS / 1_000} s`)
    if (moved < share * pending || (share === 1 && !ended)) throw new Error(`the run ended with ${moved} of ${pending} orders`)
  }
}

/** Milliseconds of each, sent at a steady rate until the work has ended. */
async function requests(url: string, until: Promise<unknown>): Promise<number[]> {
  let over = false
  void until
    .finally(() => {
      over = true
    })
    .catch(() => {})
  const tookMs: number[] = []
  const open = new Set<Promise<void>>()
  let failure: unknown
  while (!over && failure === undefined) {
    const startedAt = performance.now()
    const sent: Promise<void> = request(url)
      .then(() => void tookMs.push(performance.now() - startedAt))
      .catch((error) => {
        failure ??= error
      })
      .finally(() => open.delete(sent))
    open.add(sent)
    await sleep(1_000 / PER_SECOND)
  }
  await Promise.all(open)
  if (failure !== undefined) throw failure
  return tookMs
}

async function request(url: string): Promise<void> {
  const answer = await fetch(url, { method: 'POST' })
  await answer.text()
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`)
}

async function walOf({ database }: Site): Promise<number> {
  const { rows } = await database.sql.query(`SELECT (pg_current_wal_lsn() - '0/0')::float8 AS bytes`)
  return rows[0].bytes
}

function p99(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0
}
