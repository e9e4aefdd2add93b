// How long the admin page takes to answer with many orders pending, each screen by itself: the slowest of several answers, none of which another
// one had prepared. Redis knows none of the orders.
import { setTimeout as sleep } from 'node:timers/promises'
import { ACTIONS_TABLE, ActionsTable } from '../../lib/rows/actions-table.js'
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import { OURS } from '../systems/index.js'
import type { Scenario } from './scenario.js'

const ROUNDS = 6
/** What was looked up is remembered for two seconds, and for five how late orders were. */
const PAUSE_MS = 5_100

const SCREENS = {
  now: 'data/now',
  due: 'data/due?kind=order_confirm',
  dueFurther: 'data/due?kind=order_confirm&after=',
  late: 'data/late',
  stuck: 'data/stuck?kind=order_confirm&state=overdue',
  held: 'data/stuck?kind=order_confirm&state=held',
  order: 'data/order?id=500000',
  processes: 'data/processes',
  actions: 'data/actions',
}

export const adminPage: Scenario = {
  name: 'admin-page',
  title: 'the slowest answer of each screen of the admin page, in milliseconds',
  systems: [OURS],
  n: 0,
  pendings: [1_000_000],
  rounds: 1,
  entries: (system, n, pending) => [{ system, n, pending }],
  run: async (site, { pending }) => {
    const { sql } = site.database
    await addOrders(sql, { firstId: 1, count: pending, dueAt: Date.now() + 60_000, spacingMs: DAY_MS / pending })
    for (const statement of ActionsTable.createSql(ACTIONS_TABLE)) await sql.query(statement)
    await settleDown(sql)
    const child = await site.hire()
    const url = `http://127.0.0.1:${await child.ask('serveAdmin', site.place)}/`
    const half = (Date.now() + DAY_MS / 2) * 1_000
    const detail: Record<string, number> = {}
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const [name, path] of Object.entries(SCREENS)) {
        const startedAt = performance.now()
        const answer = await fetch(url + path + (path.endsWith('=') ? `${half}.order_confirm.1` : ''))
        const text = await answer.text()
        const elapsedMs = performance.now() - startedAt
        if (answer.status !== 200 || text.includes('"problem":"')) throw new Error(`${path}: ${answer.status} ${text.slice(0, 300)}`)
        if (round > 0) detail[`${name}Ms`] = Math.max(detail[`${name}Ms`] ?? 0, elapsedMs) // the first opens connections
      }
      await sleep(PAUSE_MS)
    }
    return { detail }
  },
}
