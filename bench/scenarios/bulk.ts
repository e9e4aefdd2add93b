// How long `extendAll` takes over many orders, killed three times and resumed, and what the shop's own requests notice of it: 50 a second,
// each of which schedules an order of its own. Checks that each order was moved once, by exactly three days.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ACTIONS_TABLE, ActionsTable } from '../../lib/rows/actions-table.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { RUNS_TABLE, RunsTable } from '../../lib/rows/runs-table.js'
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import type { Site } from '../site.js'
import { OURS } from '../systems/index.js'
import type { Scenario } from './scenario.js'

/** Ids of the requests' own orders. */
const OF_REQUESTS = 20_000
const PER_SECOND = 50
const KILLS = [0.25, 0.5, 0.75]

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
    const own = [ActionsTable.createSql(ACTIONS_TABLE), Holds.createSql(HOLDS_TABLE), RunsTable.createSql(RUNS_TABLE)].flat()
    for (const statement of own) await sql.query(statement)
    await addOrders(sql, { firstId: 1, count: OF_REQUESTS, dueAt: null })
    await sql.query(`UPDATE orders SET note = 'of a request'`)
    const dueAt = Date.now() + DAY_MS
    await addOrders(sql, { firstId: OF_REQUESTS + 1, count: pending, dueAt, spacingMs: 1 })
    await settleDown(sql)
    const web = await site.hire()
    const port = await web.ask('serveExpress', { place: site.place, passed: 'the timers' })
    const url = `http://127.0.0.1:${port}/ship`
    const alone = await requests(url, sleep(5_000))
    const walBefore = await walOf(site)

    const startedAt = performance.now()
    let elapsedMs = 0
    const run = killedAndResumed(site, pending).then(() => {
      elapsedMs = performance.now() - startedAt
    })
    const beside = await requests(url, run)
    await run
    const { rows } = await sql.query(
      `SELECT count(*)::int AS wrong FROM orders WHERE id > $1
         AND round(extract(epoch FROM "confirmDueAt") * 1000) <> floor($2::float8) + (id - $1 - 1) + $3::float8`,
      [OF_REQUESTS, dueAt, 3 * DAY_MS],
    )
    if (rows[0].wrong !== 0) throw new Error(`${rows[0].wrong} orders were not moved once`)
    return {
      perSecond: pending / (elapsedMs / 1_000),
      detail: {
        ...{ tookSeconds: elapsedMs / 1_000, requestsP99Ms: p99(beside), requestsAloneP99Ms: p99(alone) },
        walMegabytes: ((await walOf(site)) - walBefore) / 1_000_000,
      },
    }
  },
}

async function killedAndResumed(site: Site, pending: number): Promise<void> {
  for (const [number, share] of [...KILLS, 1].entries()) {
    const config = { ...site.place, note: 'leave it at the door', resume: number > 0 }
    const child: ChildProcess = fork(RUNNER, [JSON.stringify(config)], {
      execArgv: process.execArgv,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const exited = once(child, 'exit')
    let moved = 0
    let ended = false
    child.on('message', (message: { moved?: number; ended?: number }) => {
      moved = message.moved ?? message.ended ?? moved
      ended ||= message.ended !== undefined
      if (moved >= share * pending && share < 1) child.kill('SIGKILL')
    })
    await exited
    if (share === 1 && (!ended || moved !== pending)) throw new Error(`the run ended with ${moved} of ${pending} orders`)
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
  while (!over) {
    const startedAt = performance.now()
    const sent: Promise<void> = fetch(url, { method: 'POST' }).then(async (answer) => {
      await answer.text()
      if (!answer.ok) throw new Error(`${url}: ${answer.status}`)
      tookMs.push(performance.now() - startedAt)
      open.delete(sent)
    })
    open.add(sent)
    await sleep(1_000 / PER_SECOND)
  }
  await Promise.all(open)
  return tookMs
}

async function walOf({ database }: Site): Promise<number> {
  const { rows } = await database.sql.query(`SELECT (pg_current_wal_lsn() - '0/0')::float8 AS bytes`)
  return rows[0].bytes
}

function p99(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0
}
