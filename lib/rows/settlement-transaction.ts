// Settles a rule's orders in one transaction: locks and updates what is due, runs the shop's code on it, and says for each other order why
// it was not settled. If anything fails, all of it is rolled back.

import type { Model, Transaction } from 'sequelize'
import { OrderTimersError } from '../errors.js'
import { type BeginQuestion, inTransaction, orderRows, rows } from '../sequelize/database.js'
import { settlingLimits } from '../sequelize/statement-limits.js'
import type { Allowance } from './brake.js'
import { HoldSwitch, type OnHold } from './hold-switch.js'
import { OwnWork } from './own-work.js'
import type { Cascade, SettledRows } from './row-rule.js'
import type { Proofs, Settlement, SettleWork } from './settlement.js'
import {
  classify,
  overdueElsewhere,
  pendingDelivery,
  settledOrder,
  startedTimersOf,
  type Unsettled,
  without,
} from './settlement-outcome.js'
import { type SettledRow, type SettlementOptions, SettlementSql, type UnsettledRow } from './settlement-sql.js'
import { Vetoes } from './vetoes.js'

const NOBODY = { via: '', worker: '' }

const NO_PROOFS: Proofs = new Map()

/** Fails in a transaction that an SQL error has aborted. */
const STILL_OPEN = 'SELECT 1 AS still_open'

export class SettlementTransaction {
  private readonly row: SettledRows
  private readonly sql: SettlementSql
  private readonly ownWork: OwnWork
  private readonly vetoes: Vetoes
  private readonly holdSwitch: HoldSwitch

  constructor(private readonly options: SettlementOptions) {
    this.row = options.row
    this.sql = new SettlementSql(options)
    this.ownWork = new OwnWork(options.row)
    this.vetoes = new Vetoes(options.row, this.sql)
    this.holdSwitch = new HoldSwitch(options.row.holds)
  }

  /** Assignments of the settling UPDATE for other bound rules on the same table. */
  link(cascade: Cascade | undefined): void {
    this.sql.link(cascade)
  }

  /**
   * Settles the `ids` that are due, together with the shop's code.
   * @throws what the shop's code or the database throws; nothing is settled then
   */
  async settle(ids: string[], work: SettleWork): Promise<Settlement> {
    if (this.row.options.dryRun) return this.dryRun(ids)
    let leftBehind: string[] = []
    let rolledBack = false
    const noteRollback = () => {
      rolledBack = true
    }
    const settlement = await this.unlessHeld(noteRollback, async (transaction, onHold): Promise<Settlement> => {
      if (onHold) return { settled: [], early: [], locked: [], gone: [], held: ids, onHold }
      const allowance = await this.row.brake?.allowance(transaction)
      if (allowance === 'locked') return { settled: [], early: [], locked: ids, gone: [], held: [] }
      const taken = allowance?.orders === 0 ? [] : await this.take(ids, work, allowance?.orders, transaction)
      throwInRule(this.vetoes.reverted(taken), work)
      const instances = await this.withOwnWork(taken, work, transaction)
      work.signal.throwIfAborted()

      const missing = taken.length === ids.length ? [] : without(ids, taken)
      const unsettled = await this.unsettled(missing, work.inRule, transaction)
      work.inRule = false
      const answer: Settlement = {
        settled: taken.map(settledOrder),
        ...this.reasons(missing, unsettled, work),
        startedTimers: startedTimersOf(taken, this.sql.cascade),
      }
      if (this.row.left && answer.gone.length > 0) leftBehind = overdueElsewhere(unsettled)
      if (this.row.afterCommit) {
        const { kind } = this.row.options
        answer.pendingDeliveries = taken.map((row, i) => pendingDelivery(kind, row, instances[i] as Model, work))
      }
      const final = allowance ? await this.brake(answer, allowance, transaction) : answer
      const takeAgain = (free: string[]) => this.take(free, work, undefined, transaction)
      throwInRule(await this.vetoes.refused(final.locked, takeAgain, transaction, work.proofs), work)
      return final
    })
    if (rolledBack && settlement.settled.length > 0) throwInRule(this.notAwaited(), work)
    if (leftBehind.length > 0) settlement.cleared = await this.clear(leftBehind)
    return this.withClaimedDeadlines(settlement, work)
  }

  /**
   * Has Postgres plan the settling statements on this connection without running them: Postgres reads the catalog once
   * for each connection, and the first due order should not wait for that.
   */
  async plan(transaction: Transaction): Promise<void> {
    const { sequelize } = this.row.guard.table
    if (this.row.options.dryRun) await rows(sequelize, `EXPLAIN ${this.sql.texts.dryRun}`, [[]], transaction)
    else await rows(sequelize, `EXPLAIN ${this.sql.texts.take}`, this.sql.bindTake([], NOBODY, 1), transaction)
  }

  /** Has Postgres plan all statements that settling may send, on an explaining transaction. */
  async planAll(transaction: Transaction): Promise<void> {
    const { sequelize, idType } = this.row.guard.table
    const { dryRun } = this.row.options
    const ids = [[idType.example]]
    if (dryRun) await rows(sequelize, this.sql.texts.dryRun, ids, transaction)
    else await this.take([idType.example], NOBODY, 1, transaction)
    await rows(sequelize, this.sql.texts.classify, ids, transaction)
    if (dryRun) return
    await rows(sequelize, this.sql.texts.stillDue, ids, transaction)
    await rows(sequelize, this.sql.texts.lockable, ids, transaction)
  }

  private take(
    ids: string[],
    by: Pick<SettleWork, 'via' | 'worker' | 'proofs'>,
    limit: number | undefined,
    transaction: Transaction,
  ): Promise<SettledRow[]> {
    return orderRows<SettledRow>(this.row.guard.table.sequelize, this.sql.texts.take, this.sql.bindTake(ids, by, limit), transaction)
  }

  /** Runs the shop's code on the taken orders. @returns them as instances, if the shop's code gets any */
  private async withOwnWork(taken: SettledRow[], work: SettleWork, transaction: Transaction): Promise<Model[]> {
    if (!this.options.takesInstances) return []
    const instances = taken.map((row) => this.row.guard.table.instance(row))
    if (instances.length === 0 || !this.ownWork.exists) return instances
    work.signal.throwIfAborted() // the shop's code begins nothing after its time, and could not be stopped by the signal
    work.inRule = true
    await this.ownWork.run(instances, work, transaction)
    if (this.ownWork.mustBeChecked) await this.vetoes.refuseStillDue(taken, transaction)
    return instances
  }

  /**
   * After the shop's code this statement runs even for no orders: if that code swallowed an SQL error, the transaction is already aborted, and
   * COMMIT would silently roll back. Any statement then fails.
   */
  private async unsettled(ids: string[], afterOwnWork: boolean, transaction: Transaction): Promise<UnsettledRow[]> {
    const { sequelize } = this.row.guard.table
    if (ids.length > 0) return rows<UnsettledRow>(sequelize, this.sql.texts.classify, [ids], transaction)
    if (afterOwnWork) await rows(sequelize, STILL_OPEN, undefined, transaction)
    return []
  }

  private reasons(ids: string[], found: UnsettledRow[], work?: SettleWork): Unsettled {
    const proofs = this.row.verification && work && (work.proofs ?? NO_PROOFS)
    return classify(ids, found, { isInRedisAlone: this.row.guard.deadlineColumn === undefined, proofs })
  }

  private async brake(answer: Settlement, allowance: Allowance, transaction: Transaction): Promise<Settlement> {
    const others = [...answer.locked, ...(answer.unproven ?? [])]
    const isOver = answer.settled.length >= allowance.orders && others.length > 0
    await this.row.brake?.count(answer.settled.length, isOver, transaction)
    if (!isOver) return { ...answer, braked: allowance.braked }
    return { ...answer, locked: [], unproven: [], held: [...answer.held, ...others], braked: true }
  }

  private dryRun(ids: string[]): Promise<Settlement> {
    const { sequelize } = this.row.guard.table
    return this.transact(async (transaction) => {
      const found = await rows<SettledRow>(sequelize, this.sql.texts.dryRun, [ids], transaction)
      const missing = without(ids, found)
      const reasons = this.reasons(missing, await this.unsettled(missing, false, transaction))
      const dryRun = found.map(settledOrder)
      return { ...reasons, settled: [], dryRun, held: [...reasons.held, ...dryRun.map(({ id }) => id)] }
    })
  }

  /** In a separate transaction: a trigger that refuses it must not prevent the settlement of the batch. The sweep tries again, and reports. */
  private async clear(ids: string[]): Promise<number> {
    return this.transact(async (transaction) => (await this.row.left?.clear(ids, transaction)) ?? 0).catch(() => 0)
  }

  /** If the deadline is only in Redis, it comes from the claim. */
  private withClaimedDeadlines(settlement: Settlement, { deadlineOf }: SettleWork): Settlement {
    if (this.row.guard.deadlineColumn !== undefined) return settlement
    for (const order of settlement.settled) order.deadline = deadlineOf(order.id) ?? null
    return settlement
  }

  private unlessHeld<T>(onRolledBack: () => void, work: (transaction: Transaction, onHold: OnHold | undefined) => Promise<T>): Promise<T> {
    return this.holdSwitch.within((begin, settle) => this.transact(settle, begin, onRolledBack), work)
  }

  private transact<T>(work: (transaction: Transaction) => Promise<T>, begin?: BeginQuestion, onRolledBack?: () => void): Promise<T> {
    return inTransaction(this.row.guard.table.sequelize, settlingLimits(this.row.options.timeoutMs), work, { begin, onRolledBack })
  }

  /** Our own statements are awaited, and end a settlement where they fail. */
  private notAwaited(): OrderTimersError {
    const why =
      'a statement in its transaction failed that "run" (or a hook) did not await, so Postgres rolled the settlement back at COMMIT'
    return new OrderTimersError('TRANSACTION_FINISHED', `orderTimers: rule "${this.row.options.kind}": ${why}; await every statement`)
  }
}

/** A veto is the rule's own fault. */
function throwInRule(veto: Error | undefined, work: SettleWork): void {
  if (veto === undefined) return
  work.inRule = true
  throw veto
}
