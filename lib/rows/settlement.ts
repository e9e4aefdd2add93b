// The settling statement that row rules share: lock what is due, guard it and update it at once; then say of the rest why not.
// The guard is in the statement itself, so anybody may try any order at any time: never early, and once.

import type { Model, Transaction } from 'sequelize'
import { OrderTimersError, show } from '../errors.js'
import { inTransaction, orderRows, rows, type StatementLimits } from '../sequelize/database.js'
import type { Allowance } from './brake.js'
import { NOT_IN_FROM, RowGuard } from './guard.js'
import { idempotencyKey } from './history.js'
import type { RowRule } from './row-rule.js'
import { VetoProbe } from './veto-probe.js'
import type { Cascade, Writes } from './writes.js'

export interface SettleWork {
  signal: AbortSignal
  /** True while the shop's own code runs, so that a batch that takes too long is put down to the rule or to the database. */
  inRule: boolean
  /** An order's deadline as claimed from the due index, in milliseconds; for rules that have no other. */
  deadlineOf(id: string): number | undefined
  /** Which path brought the orders, and who settles them; for the history. */
  via: string
  worker: string
}

/** What became of each id that was given to `settle`. */
export interface Settlement {
  settled: SettledOrder[]
  /** Not due yet: milliseconds that remain by Postgres's clock, at least 1. */
  early: { id: string; remainingMs: number }[]
  /** The row is locked by somebody: to be put off. */
  locked: string[]
  /** Gone, no longer where the rule applies, or without a deadline: nothing to do. */
  gone: string[]
  /** Those of `gone` that are where the rule applies and have no deadline, and are not paused. */
  undated?: string[]
  /** How many of `gone` had a deadline of an earlier stay, which was taken off. */
  cleared?: number | undefined
  /** Held by `where`, a pause, `staleAfter` or the brake: left to the sweep, or put off where the deadline is in Redis alone. */
  held: string[]
  /** With `dryRun`: what would have been settled. They are among `held`. */
  dryRun?: SettledOrder[]
  /** Timers of other rules that this started; to be armed. */
  startedTimers?: { kind: string; id: string; deadlineMs: number }[]
  /** What is to be told after the commit. */
  pendingDeliveries?: PendingDelivery[]
  /** The brake has stopped the rule. */
  braked?: boolean
}

/** One order for `afterCommit`. */
export interface PendingDelivery {
  id: string
  order: Model
  idempotencyKey: string
  /** The history's row, which remembers that it is not told yet; empty without a history. */
  entry: string
}

export interface SettledOrder {
  id: string
  /** Milliseconds since 1970; null where nobody knows it (a key set by somebody else). */
  deadline: number | null
  /** Milliseconds from the deadline to the commit, by the clock that the deadline is of; null where either is not known. */
  latenessMs: number | null
}

type Explained = Pick<Settlement, 'early' | 'locked' | 'gone' | 'held'> & { undated: string[] }

export interface SettlementOptions {
  row: RowRule
  action: Writes
  limits: StatementLimits
  takesInstances: boolean
  /** For the history: the INSERT of a row for each order of `source`, if there is one. */
  record: ((source: string) => string) | undefined
}

interface SettledRow {
  order_timers_id: string | number
  order_timers_deadline_ms: number | null
  [column: string]: unknown
}

interface UnsettledRow {
  id: string | number
  applies: boolean | null
  paused: boolean
  eligible: boolean | null
  stale: boolean | null
  remaining_ms: number | null
}

const ID = 'order_timers_id'
const DEADLINE = 'order_timers_deadline_ms'
const FROM = 'order_timers_from'
const STILL = 'order_timers_still'

/** Names of our own within a statement begin so, since the shop's models and tables may be called anything. */
const DUE = 'order_timers_due'
const MOVED = 'order_timers_moved'
const HISTORY_ROWS = 'order_timers_history_rows'

export class SettlementStatement {
  private readonly classify: string
  private readonly dryRunSql: string
  private readonly stillDue: string
  private readonly veto: VetoProbe
  /** The rule's `set`, as SQL. */
  private readonly set: string[]
  private cascade: Cascade | undefined
  private text: string | undefined

  constructor(private readonly options: SettlementOptions) {
    const { guard } = options.row
    const { aliased: from, id } = guard.table
    this.set = guard.table.assignments(options.action.set ?? {})
    const { pause } = options.row.options
    this.veto = new VetoProbe(guard)
    this.classify = `SELECT ${id}::text AS id, ${guard.applies}${guard.paranoid} AS applies, TRUE${guard.eligible} AS eligible,
  ${pause ? `${guard.table.column(pause.keep)} IS NOT NULL` : 'FALSE'} AS paused,
  ${guard.deadlineColumn ? guard.deadlineIs('<=', guard.staleLine) : 'FALSE'} AS stale,
  ceil(extract(epoch from ${guard.deadline} - now()) * 1000)::float8 AS remaining_ms
FROM ${from} WHERE ${id} = ANY($1)`
    this.dryRunSql = `SELECT ${id}::text AS ${ID}, ${RowGuard.epochMs(guard.deadline)} AS ${DEADLINE} FROM ${from} WHERE ${id} = ANY($1) AND ${guard.settles}`
    this.stillDue = `${this.marking()}SELECT ${id}::text AS id FROM ${from} WHERE ${id} = ANY($1) AND ${guard.settles} LIMIT 1`
  }

  /** What the UPDATE writes for other rules on the same table, as far as those are bound. */
  link(cascade: Cascade | undefined): void {
    this.cascade = cascade
    this.text = undefined
  }

  /**
   * Settles those of `ids` that are due, in one transaction together with the shop's own work.
   * @throws what that work or the database throws; nothing is settled then
   */
  async settle(ids: string[], work: SettleWork): Promise<Settlement> {
    const { row, limits } = this.options
    const { sequelize } = row.guard.table
    if (row.options.dryRun) return this.dryRun(ids)
    const overdueElsewhere: string[] = []
    const settlement = await inTransaction(sequelize, limits, async (transaction) => {
      const allowance = await row.brake?.allowance(transaction)
      if (allowance === 'locked') return { settled: [], early: [], locked: ids, gone: [], held: [] }
      const taken = allowance?.orders === 0 ? [] : await this.take(ids, work, allowance, transaction)
      this.refuseReverted(taken, work)
      const instances = this.options.takesInstances ? taken.map(this.toInstance) : []
      if (instances.length > 0) await this.ownWork(instances, taken, work, transaction)
      work.signal.throwIfAborted()
      const missing = taken.length === ids.length ? [] : without(ids, taken)
      // Asked after all work of the shop's own, also for nothing: had it swallowed an error of SQL, COMMIT would roll back without a word.
      const asks = missing.length > 0 || work.inRule
      const unsettled = asks ? await rows<UnsettledRow>(sequelize, this.classify, [missing], transaction) : []
      work.inRule = false
      const answer: Settlement = {
        settled: taken.map(toOrder),
        ...this.explain(missing, unsettled),
        startedTimers: this.startedTimersOf(taken),
      }
      if (!allowance) await this.refuseVetoed(answer.locked, work, transaction)
      if (row.left && answer.gone.length > 0) overdueElsewhere.push(...unsettled.filter(isOverdueElsewhere).map(({ id }) => String(id)))
      if (row.afterCommit) answer.pendingDeliveries = taken.map((settled, i) => this.pendingDelivery(settled, instances[i] as Model, work))
      return allowance ? this.brake(answer, allowance, transaction) : answer
    })
    if (overdueElsewhere.length > 0) settlement.cleared = await this.takeOff(overdueElsewhere)
    return this.withClaimedDeadlines(settlement, work)
  }

  /**
   * Has Postgres plan on this connection what settling asks, and carries out nothing: what it must know of the tables it looks up but once
   * for a connection, and the first order that comes due should not wait for that.
   */
  async plan(transaction: Transaction): Promise<void> {
    const { row } = this.options
    const bind = row.options.dryRun ? [[]] : this.binding([], { via: '', worker: '' })
    await rows(row.guard.table.sequelize, `EXPLAIN ${row.options.dryRun ? this.dryRunSql : this.taking()}`, bind, transaction)
  }

  /** Has Postgres plan everything that settling may ask, on an explaining transaction. */
  async planAll(transaction: Transaction): Promise<void> {
    const { guard, options } = this.options.row
    const { sequelize, someId } = guard.table
    const ids = [[someId]]
    if (options.dryRun) await rows(sequelize, this.dryRunSql, ids, transaction)
    else await rows(sequelize, this.taking(), this.binding([someId], { via: '', worker: '' }), transaction)
    await rows(sequelize, this.classify, ids, transaction)
    if (options.dryRun) return
    await rows(sequelize, this.stillDue, ids, transaction)
    await this.veto.plan(someId, transaction)
  }

  /** Locks what is due, and writes what is written without instances. */
  private take(ids: string[], work: SettleWork, allowance: Allowance | undefined, transaction: Transaction): Promise<SettledRow[]> {
    const { sequelize } = this.options.row.guard.table
    const limit = allowance ? `LIMIT ${allowance.orders}` : ''
    return orderRows<SettledRow>(sequelize, this.taking().replace('/* limit */', limit), this.binding(ids, work), transaction)
  }

  private binding(ids: string[], { via, worker }: Pick<SettleWork, 'via' | 'worker'>): unknown[] {
    return this.options.record ? [ids, via, worker] : [ids]
  }

  private taking(): string {
    this.text ??= this.statement()
    return this.text
  }

  private statement(): string {
    const { row, takesInstances, record } = this.options
    const { guard, move } = row
    const { table } = guard
    const status = move ? `${table.column(move.status)}::text` : 'NULL::text'
    const assignments = this.assignments()
    const updates = assignments.length > 0
    const all = takesInstances ? `${table.alias}.*, ` : ''
    const timers = (this.cascade?.startedTimers ?? []).map(
      ({ deadline }, i) => `, ${RowGuard.epochMs(deadline)} AS order_timers_started_${i}`,
    )
    const still = move ? [`(${guard.applies}) AS ${STILL}`] : []
    const told = [
      `${DUE}.${ID}::text AS ${ID}`,
      `${DUE}.${DEADLINE}`,
      ...still,
      ...(record ? [`${DUE}.${FROM}`, `${DUE}.order_timers_deadline`] : []),
    ].join(', ')
    const due = `${DUE} AS (
  SELECT ${updates ? '' : all}${table.id}${updates ? '' : '::text'} AS ${ID}, ${guard.deadline} AS order_timers_deadline, ${status} AS ${FROM},
    ${RowGuard.epochMs(guard.deadline)} AS ${DEADLINE} FROM ${table.aliased}
  WHERE ${table.id} = ANY($1) AND ${guard.settles}
  ORDER BY ${table.id} /* limit */ FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED
)`
    // That the ids are named once more lets Postgres find the rows by their key, where it would read the table through.
    const update = `UPDATE ${table.aliased} SET ${assignments.join(', ')}
FROM ${DUE} WHERE ${table.id} = ${DUE}.${ID} AND ${table.id} = ANY($1)
RETURNING ${all}${told}${timers.join('')}`
    if (updates && !record) return `WITH ${due}\n${update}`
    const parts = [due, ...(updates ? [`${MOVED} AS (${update})`] : [])]
    const source = updates ? MOVED : DUE
    if (!record) return `WITH ${due}\nSELECT * FROM ${DUE}`
    parts.push(`${HISTORY_ROWS} AS (${record(source)})`)
    return `WITH ${parts.join(',\n')}\nSELECT * FROM ${source} JOIN ${HISTORY_ROWS} ON order_timers_recorded = ${source}.${ID}::text`
  }

  /** What the settling UPDATE writes; nothing where instances are saved one by one, or where the effect is all the shop's. */
  private assignments(): string[] {
    const { row, action } = this.options
    const { table } = row.guard
    const cleared = row.deadlineAttribute ? [`${table.bareColumn(row.deadlineAttribute)} = ${NOT_IN_FROM}`] : []
    if (action.individualHooks) return []
    if (!row.move) return cleared
    const moved = table.assignments({ [row.move.status]: row.move.to })
    return [...moved, ...cleared, ...table.bookkeeping(), ...this.set, ...(this.cascade?.assignments ?? [])]
  }

  /** The shop's hooks and its `run`, bounded by the rule's timeout. */
  private async ownWork(instances: Model[], taken: SettledRow[], work: SettleWork, transaction: Transaction): Promise<void> {
    const { row, action } = this.options
    const { run } = row.options
    if (!action.individualHooks && !run) return
    work.inRule = true
    const carryOut = async () => {
      if (action.individualHooks) for (const instance of instances) await this.save(instance, transaction)
      await run?.(instances, { transaction, signal: work.signal })
    }
    // Work that is given up rolls back at once, and keeps no lock and no connection although its promise may never settle.
    await Promise.race([carryOut(), aborted(work.signal)])
    if (action.individualHooks || (!row.move && row.guard.deadlineColumn !== undefined)) await this.refuseStillDue(taken, transaction)
  }

  /** Stored values, as those that the rule names are: a setter of the model would take them for presented ones. */
  private save(instance: Model, transaction: Transaction): Promise<unknown> {
    for (const [name, value] of Object.entries(this.values())) instance.setDataValue(name as never, value as never)
    return instance.save({ transaction })
  }

  /** What `individualHooks` saves on each instance. */
  private values(): Record<string, unknown> {
    const { row, action } = this.options
    const { move, deadlineAttribute } = row
    const deadline = deadlineAttribute ? { [deadlineAttribute]: null } : {}
    return { ...action.set, ...(move ? { [move.status]: move.to } : {}), ...deadline }
  }

  /**
   * Of an effect under `backfill` an order for which `where` holds still is to have no timer, and NULL would be filled. One for which it holds
   * no longer keeps NULL, and gets a deadline should it come back.
   */
  private marking(): string {
    const { guard, deadlineAttribute, move } = this.options.row
    if (move || deadlineAttribute === undefined || guard.noTimer === NOT_IN_FROM) return ''
    const { table, applies, paranoid, noTimer, deadlineColumn } = guard
    return `WITH order_timers_marked AS (UPDATE ${table.aliased} SET ${table.bareColumn(deadlineAttribute)} = ${noTimer}
WHERE ${table.id} = ANY($1) AND ${deadlineColumn} IS NULL AND ${applies}${paranoid})
`
  }

  /** @throws OrderTimersError VETOED where a trigger, or a hook, put back what the settling UPDATE wrote: it would be settled again and again */
  private refuseReverted(taken: SettledRow[], work: SettleWork): void {
    const reverted = taken.find((row) => row[STILL] === true)
    if (!reverted) return
    work.inRule = true
    throw this.vetoed(String(reverted[ID]), 'a trigger on the table put back what the UPDATE wrote')
  }

  /** @throws OrderTimersError VETOED where a row that nobody has locked is not updated all the same */
  private async refuseVetoed(locked: string[], work: SettleWork, transaction: Transaction): Promise<void> {
    if (locked.length === 0 || this.assignments().length === 0) return
    const take = async (ids: string[]) => (await this.take(ids, work, undefined, transaction)).map((row) => String(row[ID]))
    const vetoed = await this.veto.find(locked, take, transaction)
    if (vetoed === undefined) return
    work.inRule = true
    throw this.vetoed(vetoed, 'a trigger on the table let the UPDATE change no row')
  }

  private vetoed(id: string, why: string): OrderTimersError {
    const { guard, options } = this.options.row
    const remedy = 'let the trigger pass it, or keep such orders back with "where"'
    const message = `orderTimers: rule "${options.kind}": ${guard.table.model.name} ${show(id)} was not settled: ${why}; ${remedy}`
    return new OrderTimersError('VETOED', message)
  }

  /** @throws OrderTimersError STILL_DUE where an effect left an order as it was: it would be settled again and again; VETOED where an UPDATE did */
  private async refuseStillDue(taken: SettledRow[], transaction: Transaction): Promise<void> {
    const { guard, options } = this.options.row
    const bind = [taken.map((row) => row[ID])]
    const [left] = await rows<{ id: unknown }>(guard.table.sequelize, this.stillDue, bind, transaction)
    if (!left) return
    if (this.options.row.move) throw this.vetoed(String(left.id), 'a hook or a trigger kept the instance from being saved')
    const remedy = 'let "run" write what "where" asks for, so that the order does not match any more'
    const message = `orderTimers: rule "${options.kind}": ${guard.table.model.name} ${show(String(left.id))} is still due after "run"; ${remedy}`
    throw new OrderTimersError('STILL_DUE', message)
  }

  /** Why each of these was not settled. A row that is due and fits and still was not is locked by somebody. */
  private explain(missing: string[], found: UnsettledRow[]): Explained {
    const inRedisAlone = this.options.row.guard.deadlineColumn === undefined
    const byId = new Map(found.map((row) => [String(row.id), row]))
    const answer: Explained = { early: [], locked: [], gone: [], held: [], undated: [] }
    for (const id of missing) {
      const row = byId.get(id)
      if (!row?.applies || (row.remaining_ms === null && !inRedisAlone)) {
        answer.gone.push(id)
        if (row?.applies && !row.paused) answer.undated.push(id)
      } else if (row.remaining_ms !== null && row.remaining_ms > 0) answer.early.push({ id, remainingMs: row.remaining_ms })
      else if (!row.eligible || row.stale) answer.held.push(id)
      else answer.locked.push(id)
    }
    return answer
  }

  private async brake(answer: Settlement, allowance: Allowance, transaction: Transaction): Promise<Settlement> {
    const { row } = this.options
    const over = answer.settled.length >= allowance.orders && answer.locked.length > 0
    await row.brake?.count(answer.settled.length, over, transaction)
    if (!over) return { ...answer, braked: allowance.braked }
    return { ...answer, locked: [], held: [...answer.held, ...answer.locked], braked: true }
  }

  private startedTimersOf(taken: SettledRow[]): { kind: string; id: string; deadlineMs: number }[] {
    return (this.cascade?.startedTimers ?? []).flatMap(({ kind }, i) =>
      taken.flatMap((row) => {
        const deadlineMs = row[`order_timers_started_${i}`] as number | null
        return deadlineMs === null ? [] : [{ kind, id: String(row[ID]), deadlineMs }]
      }),
    )
  }

  private pendingDelivery(settled: SettledRow, order: Model, { deadlineOf }: SettleWork): PendingDelivery {
    const id = String(settled[ID])
    const entry = (settled.order_timers_entry as string | undefined) ?? ''
    const deadline = settled[DEADLINE] ?? (entry || (deadlineOf(id) ?? Date.now()))
    return { id, order, entry, idempotencyKey: idempotencyKey(this.options.row.options.kind, id, deadline) }
  }

  private async dryRun(ids: string[]): Promise<Settlement> {
    const { row, limits } = this.options
    const { sequelize } = row.guard.table
    return inTransaction(sequelize, limits, async (transaction) => {
      const found = await rows<SettledRow>(sequelize, this.dryRunSql, [ids], transaction)
      const missing = without(ids, found)
      const unsettled = missing.length > 0 ? await rows<UnsettledRow>(sequelize, this.classify, [missing], transaction) : []
      const explained = this.explain(missing, unsettled)
      const dryRun = found.map(toOrder)
      return { ...explained, settled: [], dryRun, held: [...explained.held, ...dryRun.map(({ id }) => id)] }
    })
  }

  /** In a transaction of its own: a trigger that refuses it must not keep the batch from being settled. The sweep tries again, and tells. */
  private async takeOff(ids: string[]): Promise<number> {
    const { row, limits } = this.options
    const { sequelize } = row.guard.table
    return inTransaction(sequelize, limits, async (transaction) => (await row.left?.takeOff(ids, transaction)) ?? 0).catch(() => 0)
  }

  /** Where only Redis knew the deadline, it is that of the claim. */
  private withClaimedDeadlines(settlement: Settlement, { deadlineOf }: SettleWork): Settlement {
    if (this.options.row.guard.deadlineColumn !== undefined) return settlement
    for (const order of settlement.settled) order.deadline = deadlineOf(order.id) ?? null
    return settlement
  }

  private readonly toInstance = (row: SettledRow): Model => this.options.row.guard.table.instance(row)
}

/** An order that is not where the rule applies, and whose deadline has passed. */
function isOverdueElsewhere({ applies, remaining_ms }: UnsettledRow): boolean {
  return applies !== true && remaining_ms !== null && remaining_ms <= 0
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

function toOrder(row: SettledRow): SettledOrder {
  return { id: String(row[ID]), deadline: row[DEADLINE], latenessMs: null }
}

function without(ids: string[], settled: SettledRow[]): string[] {
  const done = new Set(settled.map((row) => String(row[ID])))
  return ids.filter((id) => !done.has(id))
}
