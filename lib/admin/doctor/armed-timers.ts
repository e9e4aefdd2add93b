// Whether Redis and the rows agree: orders that come due within a minute but are not armed, or armed too late; and armed timers without an order.

import type { Keys } from '../../keys.js'
import { epochMsSql } from '../../rows/instant-sql.js'
import type { PendingRows } from '../../rows/pending-rows.js'
import type { RowRule } from '../../rows/row-rule.js'
import { inTransaction, rows } from '../../sequelize/database.js'
import { LOOK } from '../../sequelize/statement-limits.js'
import { keptFailures } from '../kept-failures.js'
import { advice, type Check, type Finding, fine, ofEach, redisCli, shell, unseen, wrong } from './check.js'
import type { Subject, SubjectRedis } from './subject.js'

const MISSING = 'armed.missing'
const LATE = 'armed.late'
const LEFT_OVER = 'armed.left-over'

const SOON_MS = 60_000
const MOST = 1_000
/** A timer that is just being armed appears a moment later. */
const AGAIN_MS = 700
const WAIT_MS = 5_000
const LEAST_LATE_MS = 1_000
const MOST_SHOWN = 20

export const armedTimers: Check = {
  name: MISSING,
  needs: 'postgres',
  async look(subject) {
    const { databases, redis } = subject
    if (!redis) return []
    const swept = databases.flatMap(({ rules }) => rules.filter(({ row }) => row.deadline.in !== 'redis'))
    if (redis.trouble !== undefined)
      return swept.map(({ kind }) =>
        unseen(MISSING, { kind, expected: 'orders that come due soon are armed', found: 'Redis does not serve; see redis.reachable' }),
      )
    return ofEach(swept, MISSING, async ({ kind, row }) => [...(await comingDue(subject, kind, row)), await leftOver(subject, kind, row)])
  },
}

interface Unarmed {
  missing: string[]
  late: string[]
  looked: number
}

async function comingDue(subject: Subject, kind: string, row: RowRule): Promise<Finding[]> {
  let seen = await unarmed(subject, kind, row)
  if (seen.missing.length + seen.late.length > 0) {
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    const again = await unarmed(subject, kind, row)
    const both = (one: string[], other: string[]) => one.filter((id) => other.includes(id))
    seen = { missing: both(seen.missing, again.missing), late: both(seen.late, again.late), looked: again.looked }
  }
  const remedy = shell(`npx order-timers sweep --kind ${kind}`)
  const expected = `orders that come due within a minute are armed`
  const about = (ids: string[], what: string) => ({
    kind,
    expected,
    found: `${ids.length} of ${seen.looked} are ${what}: ${ids.slice(0, MOST_SHOWN).join(', ')}`,
    shared: `${ids.length} of ${seen.looked} are ${what}`,
  })
  const fineWith = (name: string) =>
    fine(name, { kind, expected, found: seen.looked === 0 ? 'none comes due within a minute' : `${seen.looked} were checked` })
  return [
    seen.missing.length === 0
      ? fineWith(MISSING)
      : wrong(MISSING, about(seen.missing, 'not armed, so a sweep will settle them, up to a minute late'), remedy),
    seen.late.length === 0 ? fineWith(LATE) : wrong(LATE, about(seen.late, 'armed later than their deadline'), remedy),
  ]
}

async function unarmed({ redis, runtime }: Subject, kind: string, row: RowRule): Promise<Unarmed> {
  const { sequelize } = row.guard.table
  const { pending } = row.deadline as { pending: PendingRows }
  const page = await inTransaction(sequelize, LOOK, (transaction) =>
    pending.upcoming(transaction, { horizonMs: SOON_MS, after: undefined, limit: MOST }),
  )
  if (page.ids.length === 0) return { missing: [], late: [], looked: 0 }
  const armed = await (redis as SubjectRedis).index.armed(kind, page.ids, WAIT_MS)
  const { failed } = await keptFailures(runtime, kind)
  const failures = new Set([...(failed?.dead ?? []), ...(failed?.retrying ?? [])])
  const missing = page.ids.filter((id) => !armed.has(id) && !failures.has(id))
  const late = page.ids.filter((id, i) => (armed.get(id) ?? 0) > (page.deadlines[i] as number) + LEAST_LATE_MS && !failures.has(id))
  return { missing, late, looked: page.ids.length }
}

/** The first armed timers. An order that has left the rule is dropped when its timer is due; one without a row or a deadline should not be armed. */
async function leftOver({ redis, runtime }: Subject, kind: string, { guard }: RowRule): Promise<Finding> {
  const expected = 'each armed timer has an order with a deadline'
  const ids = (await (redis as SubjectRedis).index.between(kind, '-inf', '+inf', MOST, WAIT_MS)).map(({ id }) => id)
  const valid = ids.filter((id) => guard.table.parseId(id) !== null)
  const { table, deadlineSql } = guard
  const sql = `SELECT ${table.id}::text AS id, ${epochMsSql(deadlineSql)} AS ms FROM ${table.aliased} WHERE ${table.id} = ANY($1)`
  const found = await inTransaction(table.sequelize, LOOK, (transaction) =>
    rows<{ id: string; ms: number | null }>(table.sequelize, sql, [valid], transaction),
  )
  const dated = new Set(found.flatMap(({ id, ms }) => (ms === null ? [] : [id])))
  const without = ids.filter((id) => !dated.has(id))
  if (without.length === 0) return fine(LEFT_OVER, { kind, expected, found: `${ids.length} were checked` })
  const text = `${without.length} of ${ids.length} have none; a worker drops them when they are due`
  const some = without.slice(0, MOST_SHOWN)
  const { keys } = runtime
  const removals = [...keys.split(some)].map(([partition, part]) =>
    redisCli(`ZREM ${keys.sets(kind, partition).due} ${part.map((id) => JSON.stringify(id)).join(' ')}`),
  )
  return advice(LEFT_OVER, { kind, expected, found: text, shared: text }, ...removals, ...unlinks(keys, kind, some))
}

/** In a cluster each key needs a separate command, since each has its own slot. */
function unlinks(keys: Keys, kind: string, ids: readonly string[]): ReturnType<typeof redisCli>[] {
  const names = ids.map((id) => JSON.stringify(keys.timer(kind, id)))
  return keys.inCluster ? names.map((name) => redisCli(`UNLINK ${name}`)) : [redisCli(`UNLINK ${names.join(' ')}`)]
}
