// Whether a rule's instants are known to have a time zone, for calls that read an instant from an instance and send no statement. The first such
// call waits for a check of the table, in its own transaction if it has one: the pool's other connections may all be waiting for it. Later calls trigger
// another check about once a minute, and do not wait for it.

import type { Transaction } from 'sequelize'
import { inTransaction } from '../sequelize/database.js'
import { QUICK_QUESTION } from '../sequelize/statement-limits.js'
import { columnsOf } from './columns.js'
import type { RowGuard } from './guard.js'
import { isInstant, notAnInstant } from './instants.js'

const LOOK_EVERY_MS = 60_000

export class InstantsKnown {
  private rightAt: number | undefined
  private looking: Promise<string | undefined> | undefined

  constructor(
    private readonly guard: RowGuard,
    /** The attribute that `since` names. */
    private readonly attribute: string,
  ) {}

  /** The table has just been checked, and its instants are right. */
  noteRight(): void {
    this.rightAt = performance.now()
  }

  /**
   * @param within the shop's transaction, if there is one
   * @returns undefined if they are known, so that a call need not wait for a promise; else it resolves once they are, or Postgres does not answer
   * @throws OrderTimersError INVALID_MODEL (as a rejection) if the column that `since` names has no time zone
   */
  require(within: Transaction | undefined): Promise<void> | undefined {
    if (this.rightAt === undefined) return this.lookFirst(within)
    if (performance.now() - this.rightAt >= LOOK_EVERY_MS) void this.look()
    return undefined
  }

  private async lookFirst(within: Transaction | undefined): Promise<void> {
    const wrong = await (within ? this.note(this.problem(within)) : this.look())
    if (wrong !== undefined) throw this.guard.table.invalid(wrong)
  }

  /** Never rejects. */
  private look(): Promise<string | undefined> {
    this.looking ??= this.note(
      inTransaction(this.guard.table.sequelize, QUICK_QUESTION, (transaction) => this.problem(transaction)),
    ).finally(() => {
      this.looking = undefined
    })
    return this.looking
  }

  /** Never rejects. If the check could not be made, the previous result stays, and the next call checks again. */
  private async note(look: Promise<string | undefined>): Promise<string | undefined> {
    try {
      const wrong = await look
      this.rightAt = wrong === undefined ? performance.now() : undefined
      return wrong
    } catch {
      return undefined
    }
  }

  private async problem(transaction: Transaction): Promise<string | undefined> {
    const { table } = this.guard
    const column = (await columnsOf(table, transaction)).get(this.attribute)
    return column && !isInstant(column) ? notAnInstant(table, '"since"', column, transaction) : undefined
  }
}
