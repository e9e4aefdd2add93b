// The settling statement that row rules share: lock what is due, guard it and update it at once; then say of the rest why not.
// The guard is in the statement itself, so anybody may try any order at any time: never early, and once.

import type { Model, Transaction } from 'sequelize'
import { inTransaction, rows, type StatementLimits } from './database.js'
import { ALIAS } from './order-table.js'
import { RowGuard } from './row-guard.js'
import { quoteColumn } from './sequelize-sql.js'

export interface SettleWork {
  signal: AbortSignal
  /** True while the shop's own code runs, so that a batch that takes too long is put down to the rule or to the database. */
  inRule: boolean
  /** Deadlines as claimed from the due index, in milliseconds; for rules that have no other. */
  deadlines: ReadonlyMap<string, number>
}

/** What became of each id that was given to `settle`. */
export interface Settlement {
  settled: SettledOrder[]
  /** Not due yet: milliseconds that remain by Postgres's clock, at least 1. */
  early: { id: string; remainingMs: number }[]
  /** The row is locked by somebody: to be put off. */
  locked: string[]
  /** Gone, no longer in `from`, or without a deadline: nothing to do. */
  gone: string[]
  /** Held by `where` or `staleAfter`: left to the sweep. */
  held: string[]
}

export interface SettledOrder {
  id: string
  /** Milliseconds since 1970; null where nobody knows it (a key set by somebody else). */
  deadline: number | null
  /** Milliseconds from the deadline to the commit, by the clock that the deadline is of; null where either is not known. */
  latenessMs: number | null
}

export type Run<M extends Model> = (orders: M[], context: { transaction: Transaction; signal: AbortSignal }) => unknown

export interface SettlementOptions<M extends Model> {
  guard: RowGuard
  /** Assignments of the UPDATE as SQL, the status apart. */
  assignments: readonly string[]
  status: string
  limits: StatementLimits
  run: Run<M> | undefined
}

interface SettledRow {
  order_timers_id: string | number
  order_timers_deadline_ms: number | null
  [column: string]: unknown
}

interface UnsettledRow {
  id: string | number
  in_from: boolean
  eligible: boolean
  stale: boolean | null
  remaining_ms: number | null
}

export class SettlementStatement<M extends Model> {
  private readonly update: string
  private readonly classify: string

  constructor(private readonly options: SettlementOptions<M>) {
    const { guard, assignments, status } = options
    const { table } = guard
    const id = table.column(table.idAttribute)
    const bareId = table.bareColumn(table.idAttribute)
    const alias = quoteColumn(table.model, ALIAS)
    this.update = `WITH due AS (
  SELECT ${id} AS id, ${guard.deadline} AS deadline FROM ${table.table} AS ${alias}
  WHERE ${id} = ANY($1) AND ${guard.inFrom('$2')}${guard.due}${guard.where}${guard.paranoid}
  ORDER BY ${id} FOR NO KEY UPDATE OF ${alias} SKIP LOCKED
)
UPDATE ${table.table} AS ${alias} SET ${[`${table.bareColumn(status)} = $3`, ...assignments].join(', ')}
FROM due WHERE ${id} = due.id
RETURNING ${options.run ? `${alias}.*, ` : ''}${alias}.${bareId} AS order_timers_id,
  ${RowGuard.epochMs('due.deadline')} AS order_timers_deadline_ms`
    this.classify = `SELECT ${id} AS id, ${guard.inFrom('$2')}${guard.paranoid} AS in_from, TRUE${guard.where} AS eligible,
  ${guard.deadlineColumn ? guard.deadlineIs('<=', guard.staleLine) : 'FALSE'} AS stale,
  ceil(extract(epoch from ${guard.deadline} - now()) * 1000)::float8 AS remaining_ms
FROM ${table.table} AS ${alias} WHERE ${id} = ANY($1)`
  }

  /**
   * Settles those of `ids` that are due, in one transaction together with `run`.
   * @throws what `run` or the database throws; nothing is settled then
   */
  async settle(ids: string[], work: SettleWork): Promise<Settlement> {
    const { guard, limits, run } = this.options
    const { sequelize } = guard.table
    const settlement = await inTransaction(sequelize, limits, async (transaction) => {
      const settled = await rows<SettledRow>(sequelize, this.update, [ids, guard.from, guard.to], transaction)
      if (run && settled.length > 0) {
        work.inRule = true
        // A `run` that is given up rolls back at once, and keeps no lock and no connection although its promise may never settle.
        await Promise.race([run(settled.map(this.toInstance), { transaction, signal: work.signal }), aborted(work.signal)])
      }
      work.signal.throwIfAborted()
      const missing = settled.length === ids.length ? [] : without(ids, settled)
      // Asked after every `run`, also for nothing: had it swallowed an error of SQL, COMMIT would roll back without a word.
      const asks = missing.length > 0 || work.inRule
      const unsettled = asks ? await rows<UnsettledRow>(sequelize, this.classify, [missing, guard.from], transaction) : []
      work.inRule = false
      return { settled: settled.map(toOrder), ...this.explain(missing, unsettled) }
    })
    return this.withClaimedDeadlines(settlement, work)
  }

  /** Why each of these was not settled. A row that is due and fits and still was not is locked by somebody. */
  private explain(missing: string[], found: UnsettledRow[]): Omit<Settlement, 'settled'> {
    const inRedisAlone = this.options.guard.deadlineColumn === undefined
    const byId = new Map(found.map((row) => [String(row.id), row]))
    const answer: Omit<Settlement, 'settled'> = { early: [], locked: [], gone: [], held: [] }
    for (const id of missing) {
      const row = byId.get(id)
      if (!row?.in_from || (row.remaining_ms === null && !inRedisAlone)) answer.gone.push(id)
      else if (row.remaining_ms !== null && row.remaining_ms > 0) answer.early.push({ id, remainingMs: row.remaining_ms })
      else if (!row.eligible || row.stale) answer.held.push(id)
      else answer.locked.push(id)
    }
    return answer
  }

  /** Where only Redis knew the deadline, it is that of the claim. */
  private withClaimedDeadlines(settlement: Settlement, { deadlines }: SettleWork): Settlement {
    if (this.options.guard.deadlineColumn !== undefined) return settlement
    for (const order of settlement.settled) order.deadline = deadlines.get(order.id) ?? null
    return settlement
  }

  private readonly toInstance = (row: SettledRow): M => {
    const { model } = this.options.guard.table
    const values: Record<string, unknown> = {}
    for (const [name, { field = name }] of Object.entries(model.getAttributes())) if (field in row) values[name] = row[field]
    return model.build(values, { isNewRecord: false, raw: true }) as M
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

function toOrder(row: SettledRow): SettledOrder {
  return { id: String(row.order_timers_id), deadline: row.order_timers_deadline_ms, latenessMs: null }
}

function without(ids: string[], settled: SettledRow[]): string[] {
  const done = new Set(settled.map((row) => String(row.order_timers_id)))
  return ids.filter((id) => !done.has(id))
}
