// Which orders still wait for a rule, said from the rules' plain facts: so that a run knows when all is quiet, and how long that takes.

import type { ClientBase } from 'pg'
import type { RuleFacts } from './history.js'
import { RULES } from './rules.js'

/** What backfill writes for "no timer". */
const NO_TIMER = "'9999-12-31 00:00:00+00'"

export interface Pending {
  kind: string
  count: number
  /** By how long the deadline of the most overdue one has passed, in milliseconds by the product's clock; null where none has. */
  overdueMs: number | null
}

/** Orders that a rule must still settle: neither paused nor stale, nor under a rule that settles nothing. Undated ones count where the sweep must reach them. */
export async function pendingOrders(client: ClientBase): Promise<Pending[]> {
  const { rows } = await client.query<Pending>(RULES.filter(settlesByRow).map(pendingSql).join('\nUNION ALL\n'))
  return rows.filter(({ count }) => count > 0)
}

const settlesByRow = ({ table, deadline, dryRun }: RuleFacts) => table !== null && deadline !== 'redis' && dryRun === undefined

function pendingSql(rule: RuleFacts): string {
  const { kind, table, from, where, pause, backfill, staleAfterMs } = rule
  const deadline = deadlineSql(rule)
  const has = `${deadline} < ${NO_TIMER} AND ${deadline} > clock_timestamp() - interval '${staleAfterMs} ms'`
  const notKept = pause ? ` AND "${pause.keep}" IS NULL` : ''
  const conditions = [
    backfill ? `(${deadline} IS NULL${notKept} OR ${has})` : has,
    ...(from ? [`status IN (${from.map((status) => `'${status}'`).join(', ')})`] : []),
    ...Object.entries({ ...where }).map(([column, value]) => `"${column}" = ${value}`),
    ...Object.entries({ ...pause?.while }).map(([column, value]) => `"${column}" IS DISTINCT FROM ${value}`),
    ...(table === 'carts' ? ['"deletedAt" IS NULL'] : []),
  ]
  return `SELECT '${kind}' AS kind, count(*)::int AS count, (extract(epoch FROM max(clock_timestamp() - ${deadline})
    FILTER (WHERE ${deadline} < clock_timestamp())) * 1000)::float8 AS "overdueMs" FROM ${table} WHERE ${conditions.join(' AND ')}`
}

function deadlineSql({ deadline, afterMs }: RuleFacts): string {
  if (deadline === 'redis') throw new Error('only Redis has its deadlines')
  return 'column' in deadline ? `"${deadline.column}"` : `("${deadline.since}" + interval '${afterMs} ms')`
}
