// Deadlines that remain on orders to which the rule no longer applies. If such an order returns, its old deadline must not settle it. Clears
// those that are certainly obsolete, and counts the others. Locked rows are skipped.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { allOf, type Condition } from './conditions.js'
import { NO_TIMER_AT, NOT_IN_FROM, type RowGuard } from './guard.js'
import { MOST_COUNTED } from './pending-rows.js'
import { PutBack, stillSql } from './put-back.js'

/** The parts of a rule with `deadline` that it needs. */
export interface LeftDeadlinesOptions {
  guard: RowGuard
  /** The attribute of the deadline. */
  deadline: string
  /** The attribute in which a paused timer keeps its time. */
  keep: string | undefined
  /** Whether it is a transition. In an effect, `where` may hold an order back for a while, and a deadline that passes meanwhile stays. */
  moves: boolean
  backfilled: boolean
}

interface Cleared {
  found: number
  written: number
}

export class LeftDeadlines {
  /** A condition: the rule does not apply to the order. */
  private readonly away: string
  private readonly passed: string

  constructor(private readonly options: LeftDeadlinesOptions) {
    const { guard } = options
    this.away = `(${allOf([guard.appliesSql, guard.notDeletedSql])}) IS NOT TRUE`
    this.passed = guard.deadlineIs('<=', 'now()')
  }

  /**
   * Of these orders, clears the passed deadlines of those to which the rule no longer applies.
   * @returns how many
   */
  async clear(ids: readonly string[], transaction: Transaction): Promise<number> {
    if (!this.options.moves) return 0
    const { id } = this.options.guard.table
    return (await this.update([`${id} = ANY($1)`, this.passed], '', ids, transaction)).written
  }

  /**
   * Clears one batch of at most `limit` rows: deadlines that passed after their orders had left, and `backfill`'s mark for "no timer" on orders
   * to which the rule no longer applies. Deadlines older than `staleAfter` are never settled, and an old shop may have millions of them: they stay.
   * @returns how many
   */
  async clearBatch(transaction: Transaction, limit: number): Promise<number> {
    const { guard, moves, backfilled } = this.options
    let cleared = 0
    if (moves) cleared += await this.updateBatch([this.passed, guard.deadlineIs('>', guard.staleLineSql)], limit, transaction)
    if (backfilled) cleared += await this.updateBatch([`${guard.deadlineColumn} = ${NO_TIMER_AT}`], limit, transaction)
    return cleared
  }

  /**
   * Clears one batch of at most `limit` rows: the time that a pause has stored on orders that have left. Works without an index.
   * @returns how many
   */
  async clearPauses(transaction: Transaction, limit: number): Promise<number> {
    const { guard, moves, keep } = this.options
    if (!moves || keep === undefined) return 0
    return this.updateBatch([`${guard.table.column(keep)} IS NOT NULL`, `${guard.deadlineSql} IS NULL`], limit, transaction)
  }

  /** How many orders have a deadline although the rule does not apply to them. */
  async count(transaction: Transaction): Promise<number> {
    const { table, deadlineColumn } = this.options.guard
    const inner = `SELECT 1 FROM ${table.aliased} WHERE ${allOf([`${deadlineColumn} IS NOT NULL`, this.away])} LIMIT $1`
    const sql = `SELECT count(*)::int AS count FROM (${inner}) AS away`
    const [row] = await rows<{ count: number }>(table.sequelize, sql, [MOST_COUNTED], transaction)
    return row?.count ?? 0
  }

  /** @throws Error if nothing could be written: the same rows would be found again, in this sweep and in each one */
  private async updateBatch(conditions: Condition[], limit: number, transaction: Transaction): Promise<number> {
    const { found, written } = await this.update(conditions, 'LIMIT $1', limit, transaction)
    if (found > 0 && written === 0) throw new PutBack()
    return written
  }

  /** The conditions are checked under the row's lock: an order that returns in another transaction keeps what that transaction writes. */
  private async update(conditions: Condition[], limit: string, bound: unknown, transaction: Transaction): Promise<Cleared> {
    const { guard, deadline, keep } = this.options
    const { table } = guard
    const leaves = [this.away, ...conditions]
    const away = `SELECT ${table.id} AS order_timers_id FROM ${table.aliased} WHERE ${allOf(leaves)} ${limit}
FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`
    const cleared = [`${table.bareColumn(deadline)} = ${NOT_IN_FROM}`, ...(keep ? [`${table.bareColumn(keep)} = NULL`] : [])]
    const sql = `WITH order_timers_away AS (${away}), order_timers_cleared AS (UPDATE ${table.aliased} SET ${cleared.join(', ')}
FROM order_timers_away WHERE ${table.id} = order_timers_id RETURNING ${stillSql(leaves)})
SELECT (SELECT count(*)::int FROM order_timers_away) AS found,
  count(*) FILTER (WHERE NOT order_timers_still)::int AS written FROM order_timers_cleared`
    const [row] = await rows<Cleared>(table.sequelize, sql, [bound], transaction)
    return row ?? { found: 0, written: 0 }
  }
}
