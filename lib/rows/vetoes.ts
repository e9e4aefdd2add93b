// Settlements that the shop's trigger, hook, or `run` prevents by leaving the order as it was. Such an order would be
// settled again and again, so the batch fails with VETOED or STILL_DUE instead.

import type { Transaction } from 'sequelize'
import { OrderTimersError, show } from '../errors.js'
import { rows } from '../sequelize/database.js'
import type { SettledRows } from './row-rule.js'
import type { Proofs } from './settlement.js'
import { idOf } from './settlement-outcome.js'
import type { SettledRow, SettlementSql } from './settlement-sql.js'

export class Vetoes {
  constructor(
    private readonly row: SettledRows,
    private readonly sql: SettlementSql,
  ) {}

  /** @returns VETOED if a trigger restored the values that the settling UPDATE wrote */
  reverted(taken: readonly SettledRow[]): OrderTimersError | undefined {
    const reverted = taken.find((row) => row.order_timers_still === true)
    return reverted && this.vetoed(idOf(reverted), 'a trigger on the table put back what the UPDATE wrote')
  }

  /**
   * Distinguishes a refusal by a trigger (BEFORE UPDATE returns NULL) from a row that another transaction has locked: both are due, and neither is
   * updated. The rows that can be locked are updated once more, under a savepoint that is rolled back.
   * @param unsettled orders that are due and were not settled
   * @param take settles orders
   * @param proofs under `verify`: a row that was written since it was found locked is asked about again, and no trigger refused it
   * @returns VETOED if one of them is free but was not settled
   */
  async refused(
    unsettled: readonly string[],
    take: (ids: string[]) => Promise<SettledRow[]>,
    transaction: Transaction,
    proofs?: Proofs,
  ): Promise<OrderTimersError | undefined> {
    if (unsettled.length === 0 || !this.sql.writes) return undefined
    const { sequelize } = this.row.guard.table
    const found = await rows<{ id: string; xmin?: string }>(sequelize, this.sql.texts.lockable, [unsettled], transaction)
    const free = found.filter(({ id, xmin }) => xmin === undefined || xmin === proofs?.get(id)?.xmin)
    if (free.length === 0) return undefined
    await rows(sequelize, 'SAVEPOINT order_timers_veto', [], transaction)
    const taken = new Set((await take(free.map(({ id }) => id))).map(idOf))
    await rows(sequelize, 'ROLLBACK TO SAVEPOINT order_timers_veto', [], transaction)
    const refused = free.find(({ id }) => !taken.has(id))
    return refused && this.vetoed(refused.id, 'a trigger on the table let the UPDATE change no row')
  }

  /** @throws OrderTimersError STILL_DUE if an effect left an order as it was; VETOED if an instance was not saved */
  async refuseStillDue(taken: readonly SettledRow[], transaction: Transaction): Promise<void> {
    const { guard, options, move } = this.row
    const bind = [taken.map((row) => row.order_timers_id)]
    const [left] = await rows<{ id: unknown }>(guard.table.sequelize, this.sql.texts.stillDue, bind, transaction)
    if (!left) return
    if (move) throw this.vetoed(String(left.id), 'a hook or a trigger kept the instance from being saved')
    const remedy = 'let "run" write what "where" asks for, so that the order does not match any more'
    const message = `orderTimers: rule "${options.kind}": ${guard.table.model.name} ${show(String(left.id))} is still due after "run"; ${remedy}`
    throw new OrderTimersError('STILL_DUE', message)
  }

  private vetoed(id: string, why: string): OrderTimersError {
    const { guard, options } = this.row
    const remedy = 'let the trigger pass it, or keep such orders back with "where"'
    const message = `orderTimers: rule "${options.kind}": ${guard.table.model.name} ${show(id)} was not settled: ${why}; ${remedy}`
    return new OrderTimersError('VETOED', message)
  }
}
