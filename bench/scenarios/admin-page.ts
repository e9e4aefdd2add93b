// How long the admin page takes to answer with many orders pending and as many settled, each screen by itself: the slowest of several answers, none of
// which another one had prepared, and the first of all. Redis knows none of the orders but those on which the rule failed for the last time.
import { setTimeout as sleep } from 'node:timers/promises'
import { Keys } from '../../lib/keys.js'
import { ACTIONS_TABLE, ActionsTable } from '../../lib/rows/actions-table.js'
import { CONFIRMED } from '../order.js'
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import type { RedisServer } from '../redis-server.js'
import { OURS } from '../systems/index.js'
import type { Scenario } from './scenario.js'

const ROUNDS = 6
/** What was looked up is remembered for two seconds, and for five how late orders were. */
const PAUSE_MS = 5_100

const DEAD = 100_000
const PORTION = 5_000
const DEAD_LETTERS = `${DEAD} dead letters`

const SCREENS = {
  now: 'data/now',
  due: 'data/due?kind=order_confirm',
  dueFurther: 'data/due?kind=order_confirm&after=',
  late: 'data/late',
  stuck: 'data/stuck?kind=order_confirm&state=overdue',
  dead: 'data/stuck?kind=order_confirm&state=dead',
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
  entries: (system, n, pending) => [
    { system, n, pending },
    { system, variant: DEAD_LETTERS, n, pending },
  ],
  run: async (site, { variant, pending }) => {
    const { sql } = site.database
    await addOrders(sql, { firstId: 1, count: pending, dueAt: Date.now() + 60_000, spacingMs: DAY_MS / pending })
    await addOrders(sql, { firstId: pending + 1, count: pending, dueAt: null, status: CONFIRMED })
    if (variant === DEAD_LETTERS) {
      await addOrders(sql, { firstId: 2 * pending + 1, count: DEAD, dueAt: Date.now() - DAY_MS, spacingMs: DAY_MS / DEAD / 2 })
      await bury(site.redis, 2 * pending + 1, DEAD)
    }
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
        // The first answer of all opens connections, and finds nothing remembered.
        const figure = round > 0 ? `${name}Ms` : name === 'now' ? 'firstMs' : undefined
        if (figure !== undefined) detail[figure] = Math.max(detail[figure] ?? 0, elapsedMs)
        if (round > 0 && name === 'now') detail.countedAgoMs = Math.max(detail.countedAgoMs ?? 0, countedAgo(text))
      }
      await sleep(PAUSE_MS)
    }
    return { detail }
  },
}

/** As the worker leaves them. */
async function bury({ client }: RedisServer, firstId: number, count: number): Promise<void> {
  const { failures } = new Keys('').sets('order_confirm')
  const failure = JSON.stringify({ attempts: 5, error: 'no stock', at: new Date().toISOString(), dead: true })
  const at = Date.now() * 1_000
  for (let first = 0; first < count; first += PORTION) {
    const ids = Array.from({ length: Math.min(PORTION, count - first) }, (_, i) => first + i)
    await client.hset(failures, Object.fromEntries(ids.map((i) => [firstId + i, failure])))
    await client.zadd(`${failures}:dead`, ...ids.flatMap((i) => [at + i, firstId + i]))
  }
}

/** How old the counts are that the screen "Now" shows. */
function countedAgo(text: string): number {
  const { kinds, looking } = JSON.parse(text).data as { kinds: { ageMs: number }[]; looking: boolean }
  if (looking) throw new Error('nothing was remembered')
  return Math.max(...kinds.map(({ ageMs }) => ageMs))
}
