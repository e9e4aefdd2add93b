// Who has locked a row. A row's lock is in the row itself: its xmax is the transaction that holds it, or a multixact of several, and each running
// transaction has an entry in pg_locks that any role may read. Takes no locks and waits for none.

import type { Transaction } from 'sequelize'
import { inTransaction, rows } from '../sequelize/database.js'
import { QUESTION } from '../sequelize/statement-limits.js'
import type { RowGuard } from './guard.js'
import type { OrderTable } from './order-table.js'

/** The transaction that has locked an order's row. */
export interface LockHolder {
  id: string
  /** Null for a prepared transaction. */
  pid: number | null
  /** The name of a prepared transaction, for ROLLBACK PREPARED; null for a session. */
  prepared: string | null
  application: string | null
  user: string | null
  /** How long its transaction has been open, in seconds; null if this role may not see it. */
  openForS: number | null
  /** The verb and the table of its last statement, such as `UPDATE orders`; null if this role may not see it, or nothing else is known. */
  statement: string | null
  /** The asking role, if it may not see what the holder does. */
  blindRole: string | null
}

interface FoundRow {
  xid: string
  pid: number | null
  prepared: string | null
  application: string | null
  user: string | null
  age: number | null
  query: string | null
  role: string
}

/** The maximum number of rows in one query. */
const MOST_ROWS = 100

/** What pg_stat_activity shows to a role that may not see a session. */
const INSUFFICIENT = '<insufficient privilege>'

/** @returns the holders of those rows that are locked now; the others are free, or were locked only for a moment */
export async function lockHolders({ table }: RowGuard, ids: readonly string[]): Promise<LockHolder[]> {
  const ask: Ask = (sql, bind) => inTransaction(table.sequelize, QUESTION, (transaction) => rows(table.sequelize, sql, bind, transaction))
  const marked = await inTransaction(table.sequelize, QUESTION, (transaction) => readMarks(table, ids, transaction))
  const running = await runningAmong(
    marked.map(({ xmax }) => xmax),
    ask,
  )
  const unknown = new Set(marked.map(({ xmax }) => xmax).filter((xmax) => xmax !== '0' && !running.has(xmax)))
  const members = await membersOf(unknown, ask)
  const several = [...members.values()].flat()
  if (several.length > 0) for (const [xid, row] of await runningAmong(several, ask)) running.set(xid, row)
  return marked.flatMap(({ id, xmax }) => {
    const holder = [xmax, ...(members.get(xmax) ?? [])].map((xid) => running.get(xid)).find((one) => one !== undefined)
    return holder ? [holderOf(id, holder)] : []
  })
}

type Ask = <Row>(sql: string, bind: unknown[]) => Promise<Row[]>

/** The running ones among these transactions, by id. */
async function runningAmong(xids: string[], ask: Ask): Promise<Map<string, FoundRow>> {
  return new Map((await ask<FoundRow>(RUNNING, [xids])).map((row) => [row.xid, row]))
}

/** The transactions of each of these multixacts. */
async function membersOf(multixacts: ReadonlySet<string>, ask: Ask): Promise<Map<string, string[]>> {
  const members = new Map<string, string[]>()
  for (const multixact of multixacts) {
    // Fails if it is not a multixact, or one that no longer exists: then the row is not locked.
    const found = await ask<{ xid: string }>('SELECT xid::text FROM pg_get_multixact_members($1::text::xid)', [multixact]).catch(() => [])
    members.set(
      multixact,
      found.map(({ xid }) => xid),
    )
  }
  return members
}

/** The transaction, or multixact, that last locked each of these rows. A view has none (undefined_column). */
export function readMarks(table: OrderTable, ids: readonly string[], transaction: Transaction): Promise<{ id: string; xmax: string }[]> {
  const sql = `SELECT ${table.id}::text AS id, ${table.alias}.xmax::text AS xmax FROM ${table.aliased} WHERE ${table.id} = ANY($1) LIMIT ${MOST_ROWS}`
  return rows(table.sequelize, sql, [ids], transaction)
}

/** Whether a row cannot be locked now: another transaction has locked it, or it does not exist. */
export async function cannotLock(table: OrderTable, id: string, transaction: Transaction): Promise<boolean> {
  const sql = `SELECT 1 FROM ${table.aliased} WHERE ${table.id} = $1 FOR NO KEY UPDATE SKIP LOCKED`
  return (await rows(table.sequelize, sql, [id], transaction)).length === 0
}

/** Transactions among these that run, and their sessions; and those that are prepared, and have none. */
const RUNNING = `SELECT l.transactionid::text AS xid, l.pid, p.gid AS prepared, a.application_name AS application,
  a.usename::text AS user, a.query, current_user::text AS role,
  extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 AS age
FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_prepared_xacts AS p ON l.pid IS NULL AND p.transaction = l.transactionid
WHERE l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock' AND l.transactionid::text = ANY($1)
  AND l.pid IS DISTINCT FROM pg_backend_pid()`

function holderOf(id: string, { pid, prepared, application, user, age, query, role }: FoundRow): LockHolder {
  const isBlind = query === INSUFFICIENT
  const statement = query === null || isBlind ? null : statementOf(query)
  return { id, pid, prepared, application, user, openForS: age, statement, blindRole: isBlind ? role : null }
}

const NAME = String.raw`((?:"[^"]{1,63}"|[A-Za-z_]\w{0,62})(?:\.(?:"[^"]{1,63}"|[A-Za-z_]\w{0,62}))?)`
const WRITES = new RegExp(
  String.raw`^(UPDATE(?: ONLY)?|INSERT INTO|DELETE FROM(?: ONLY)?|MERGE INTO|LOCK(?: TABLE)?|ALTER TABLE)\s+${NAME}`,
  'i',
)
const READS = new RegExp(String.raw`\bFROM\s+(?:ONLY\s+)?${NAME}`, 'i')

/** The verb and the table alone: the rest of a statement may contain personal data. */
export function statementOf(query: string): string {
  const text = query.replace(/^(?:\s+|--[^\n]*\n|\/\*[\s\S]*?\*\/)+/, '').replace(/\s+/g, ' ')
  const written = WRITES.exec(text)
  if (written) return `${(written[1] as string).toUpperCase()} ${written[2]}`
  const verb = /^[A-Za-z]{2,20}\b/.exec(text)?.[0].toUpperCase() ?? 'a statement'
  const read = /^(?:SELECT|WITH)$/.test(verb) ? READS.exec(text)?.[1] : undefined
  return read === undefined ? verb : `${verb} … FROM ${read}`
}
