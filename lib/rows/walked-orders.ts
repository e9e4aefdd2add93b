// Orders that no index finds, such as those without a deadline: the table is walked by its primary key, in portions of a bounded size, so that no
// statement takes long however many orders there are. The caller decides how many portions to wait for.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { allOf } from './conditions.js'
import { columnOf } from './row-options.js'
import type { SettledRows } from './row-rule.js'

/** How many rows a portion reads. */
export const PORTION = 20_000

export interface Portion {
  /** The matching orders, by id. */
  ids: string[]
  /** The next portion begins after this id. Undefined at the end. */
  next: string | undefined
}

export class WalkedOrders {
  constructor(private readonly row: SettledRows) {}

  /** A condition: the rule applies to the order, and it has no deadline. */
  get undatedSql(): string {
    const { guard, options } = this.row
    const { pause } = columnOf(options) ?? {}
    const notPaused = pause && `${guard.table.column(pause.keep)} IS NULL`
    return allOf([guard.appliesSql, guard.eligibleSql, guard.notDeletedSql, `${guard.deadlineSql} IS NULL`, notPaused])
  }

  /** The same for paused orders; undefined if the rule has no `pause`. */
  get pausedSql(): string | undefined {
    const { guard, options } = this.row
    const { pause } = columnOf(options) ?? {}
    if (!pause) return undefined
    const { table, appliesSql, notDeletedSql, deadlineSql } = guard
    return allOf([appliesSql, notDeletedSql, `${deadlineSql} IS NULL`, `${table.column(pause.keep)} IS NOT NULL`])
  }

  /**
   * @param after the `next` of the previous portion
   * @param most the maximum number of ids: the portion ends after the last of them
   */
  async portion(transaction: Transaction, isWanted: string, after: string | undefined, most: number): Promise<Portion> {
    const { table } = this.row.guard
    const behind = after === undefined ? '' : `WHERE ${table.id} > $2`
    const sql = `WITH walked AS MATERIALIZED (SELECT ${table.id} AS id, (${isWanted}) IS TRUE AS wanted FROM ${table.aliased} ${behind} ORDER BY ${table.id} LIMIT ${PORTION})
SELECT to_json(ARRAY(SELECT id::text FROM walked WHERE wanted ORDER BY walked.id LIMIT $1))::text AS ids,
  (SELECT count(*) FROM walked)::int AS count, (SELECT id::text FROM walked ORDER BY walked.id DESC LIMIT 1) AS last`
    const bind = after === undefined ? [most] : [most, after]
    const [found] = await rows<{ ids: string; count: number; last: string | null }>(table.sequelize, sql, bind, transaction)
    const ids = JSON.parse(found?.ids ?? '[]') as string[]
    if (ids.length === most) return { ids, next: ids.at(-1) }
    return { ids, next: found?.count === PORTION ? (found.last ?? undefined) : undefined }
  }
}
