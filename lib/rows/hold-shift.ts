// Moves every deadline later than a hold's start by the hold's length: by the primary key, in portions, each in one transaction with the cursor.
// So a shift that was killed continues where it was, and moves no order twice; of two processes one waits. Reminders that were sent move with the
// deadline. Orders with a greater id than the last one when the release began are not in it.

import { setTimeout as delay } from 'node:timers/promises'
import type { Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { OrderTimersError, show } from '../errors.js'
import { inTransaction, rows, statement } from '../sequelize/database.js'
import { faultOwnerOf, sqlStateOf } from '../sequelize/fault-owner.js'
import { INSUFFICIENT_PRIVILEGE, LOCK_WAIT_ENDED, ROLLED_BACK } from '../sequelize/sqlstates.js'
import { LOOK } from '../sequelize/statement-limits.js'
import { remedyOf } from '../sequelize/wrong-statement.js'
import { allOf } from './conditions.js'
import { NO_TIMER_AT } from './guard.js'
import { VIA_RUN } from './history.js'
import type { Hold } from './holds.js'
import { boundIntervalSql } from './instant-sql.js'
import type { RowRule } from './row-rule.js'

const PORTION = 1_000

/** The shop's requests wait for rows that a portion has locked, so a portion itself waits only briefly for locks. */
const LIMITS = { lockMs: 100, statementMs: 20_000, idleMs: 5_000 }

/** How many rows a portion reads at most, as a multiple of its size. */
const LOOKED_AT = 20

/** How long a portion is repeated if other transactions have locked its rows. */
const PATIENCE_MS = 30_000
const RETRY_MS = 200

/**
 * Moves all deadlines, then ends the hold.
 * @param options `portion`: how many orders one transaction moves
 * @returns how many it moved itself
 * @throws OrderTimersError ROW_LOCKED where others keep rows locked, VETOED where a row refuses it; the kind stays held, and the next run goes on; what
 * Postgres throws
 */
export async function shiftDeadlines(
  row: RowRule,
  hold: Pick<Hold, 'id'>,
  { portion = PORTION, signal }: { portion?: number; signal?: AbortSignal | undefined } = {},
): Promise<number> {
  let moved = 0
  let size = portion
  let movedAt = performance.now()
  while (!signal?.aborted) {
    try {
      const done = await movePortion(row, hold, size)
      movedAt = performance.now()
      if (done === 'elsewhere') {
        await delay(RETRY_MS, undefined, { signal }).catch(() => {})
        continue
      }
      moved += done.moved
      if (done.isLast) break
      size = Math.min(portion, 2 * size)
    } catch (cause) {
      const state = sqlStateOf(cause)
      if (faultOwnerOf(cause) === 'rule') {
        if (size === 1) throw await rowRefused(row, hold, cause)
        size = Math.ceil(size / 2) // until what stands before the row is moved
        continue
      }
      if (!LOCK_WAIT_ENDED.has(state) && !ROLLED_BACK.has(state)) throw cause
      if (performance.now() - movedAt > PATIENCE_MS) throw rowLocked(row, cause)
      if (size === 1) await delay(RETRY_MS, undefined, { signal }).catch(() => {})
      size = Math.ceil(size / 2) // until the rows before the locked one are moved
    }
  }
  return moved
}

/**
 * Records the presently greatest id, once: in the transaction that begins the release, else with the first portion. Later orders
 * were never held.
 */
export async function noteLastOrder({ guard, holds }: RowRule, { id }: Pick<Hold, 'id'>, transaction: Transaction): Promise<void> {
  const { table } = guard
  const last = `SELECT ${table.id}::text FROM ${table.aliased} ORDER BY ${table.id} DESC LIMIT 1`
  await rows(table.sequelize, `UPDATE ${holds.table} SET last_id = (${last}) WHERE id = $1 AND last_id IS NULL`, [id], transaction)
}

/**
 * Has Postgres plan the writes of a portion, so that a user without the rights cannot begin a release and leave it unfinished.
 * @throws OrderTimersError INVALID_MODEL; what Postgres throws
 */
export async function explainShift(row: RowRule): Promise<void> {
  const { sequelize, tableText, idType } = row.guard.table
  const run: Run = { after: null, upTo: idType.example, since: '2000-01-01 00:00:00+00', lengthMs: 0 }
  try {
    await inTransaction(sequelize, { ...LOOK, explains: true }, (transaction) => move(row, run, 1, transaction))
  } catch (cause) {
    if (sqlStateOf(cause) !== INSUFFICIENT_PRIVILEGE) throw cause
    const remedy = `release it on the admin page or with \`order-timers release\` as the workers' user, or ${remedyOf(cause, tableText)}`
    const message = `orderTimers: ${row.options.kind}: deadlines are to be moved, which this user may not (${errorText(cause)}); nothing was released; ${remedy}`
    throw new OrderTimersError('INVALID_MODEL', message, { cause })
  }
}

/** @returns 'elsewhere' while another process moves a portion of it */
async function movePortion(
  row: RowRule,
  { id }: Pick<Hold, 'id'>,
  portion: number,
): Promise<{ moved: number; isLast: boolean } | 'elsewhere'> {
  const { sequelize } = row.guard.table
  const { holds } = row
  return inTransaction(sequelize, LIMITS, async (transaction) => {
    const releasing = `FROM ${holds.table} WHERE id = $1 AND state = 'releasing'`
    const locked = `SELECT cursor_id AS after, last_id AS "upTo", since::text AS since, length_ms::float8 AS "lengthMs" ${releasing} FOR UPDATE SKIP LOCKED`
    let [run] = await rows<Run>(sequelize, locked, [id], transaction)
    if (run?.upTo === null) {
      await noteLastOrder(row, { id }, transaction)
      ;[run] = await rows<Run>(sequelize, locked, [id], transaction)
    }
    if (!run) {
      const isLast = (await rows(sequelize, `SELECT id ${releasing}`, [id], transaction)).length === 0
      return isLast ? { moved: 0, isLast } : 'elsewhere'
    }
    const { count, last } = await move(row, run, portion, transaction)
    const isLast = last === null
    const noted = `UPDATE ${holds.table} SET moved = moved + $2, cursor_id = coalesce($3, cursor_id) WHERE id = $1`
    await rows(sequelize, noted, [id, count, last], transaction)
    if (isLast) await holds.end({ id }, transaction)
    return { moved: count, isLast }
  })
}

interface Run {
  after: string | null
  /** Null if there is no order. */
  upTo: string | null
  /** As text, with its microseconds. */
  since: string
  lengthMs: number
}

async function move(
  { guard, deadline, history, options }: RowRule,
  { after, upTo, since, lengthMs }: Run,
  portion: number,
  transaction: Transaction,
): Promise<{ count: number; last: string | null }> {
  if (deadline.in !== 'column' || upTo === null) return { count: 0, last: null }
  const { table, deadlineColumn } = guard
  const column = table.bareColumn(deadline.attribute)
  const isLater = [
    `${deadlineColumn} > $1::timestamptz`,
    `isfinite(${deadlineColumn})`,
    `${deadlineColumn} <> ${NO_TIMER_AT}`,
    guard.scopeSql,
  ]
  const ahead = allOf([`${table.id} <= $4`, after === null ? undefined : `${table.id} > $5`])
  const end = `SELECT id FROM (SELECT ${table.id} AS id FROM ${table.aliased} WHERE ${ahead} ORDER BY ${table.id} LIMIT ${LOOKED_AT} * $3::int
) AS looked_at ORDER BY id DESC LIMIT 1`
  // The CASE prevents Postgres from using an index on the deadline.
  const page = `SELECT ${table.id} AS id, ${deadlineColumn} AS deadline FROM ${table.aliased}
WHERE ${allOf([ahead, `${table.id} <= (SELECT id FROM looked_to)`, `CASE WHEN ${allOf(isLater)} THEN TRUE ELSE FALSE END`])}
ORDER BY ${table.id} LIMIT $3::int FOR NO KEY UPDATE OF ${table.alias}`
  const told = history
    ? `, told AS (UPDATE ${history.table} AS h SET deadline = h.deadline + ${boundIntervalSql('$2')} FROM page
WHERE h.kind = ${table.literal(options.kind)} AND h.order_id = page.id::text AND h.reminder <> '' AND h.via <> '${VIA_RUN}' AND h.deadline = page.deadline)`
    : ''
  const sql = `WITH looked_to AS MATERIALIZED (${end}), page AS MATERIALIZED (${page}),
moved AS (UPDATE ${table.aliased} SET ${column} = ${deadlineColumn} + ${boundIntervalSql('$2')}
FROM page WHERE ${table.id} = page.id)${told}
SELECT (SELECT count(*) FROM page)::int AS count, CASE (SELECT count(*) FROM page) WHEN $3::int
  THEN (SELECT page.id FROM page ORDER BY page.id DESC LIMIT 1) ELSE (SELECT id FROM looked_to) END::text AS last`
  const bind = [since, lengthMs, portion, upTo, ...(after === null ? [] : [after])]
  const [found] = await rows<{ count: number; last: string | null }>(table.sequelize, sql, bind, transaction)
  return found ?? { count: 0, last: null }
}

/** A trigger or a constraint refuses the next row that is to be moved. */
async function rowRefused({ guard, holds, options }: RowRule, { id }: Pick<Hold, 'id'>, cause: unknown): Promise<OrderTimersError> {
  const { kind } = options
  const sql = `SELECT cursor_id AS cursor FROM ${holds.table} WHERE id = $1`
  const [at] = await statement<{ cursor: string | null }>(guard.table.sequelize, sql, [id])
  const where = at?.cursor ? `the next order behind ${guard.table.model.name} ${show(at.cursor)}` : 'the first order'
  const why = `the deadline of ${where} that is to be moved was refused (${errorText(cause)})`
  const remedy = `let the trigger or the constraint pass it, and release it again (order-timers release ${kind}), or leave it to a sweep`
  return new OrderTimersError('VETOED', `orderTimers: ${kind}: ${why}; those before it are moved, and it stays held; ${remedy}`, { cause })
}

function rowLocked({ options }: RowRule, cause: unknown): OrderTimersError {
  const { kind } = options
  const remedy = `it stays held; end the transaction that has them, and release it again (order-timers release ${kind}), or leave it to a sweep`
  return new OrderTimersError('ROW_LOCKED', `orderTimers: ${kind}: rows whose deadlines are to be moved are locked for long; ${remedy}`, {
    cause,
  })
}
