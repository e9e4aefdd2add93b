// The queries of a readiness reading to one database: its clock, and each rule's overdue orders. Each query is short and separate, so one rule's
// problem does not hide another rule. One round of queries at a time uses one connection of the shop's pool. Another caller waits a
// second at most, and gets what the round has found so far.

import type { Sequelize, Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { CANNOT_SEE_LOCKS } from '../rows/order-counts-sql.js'
import { overdueSql } from '../rows/overdue-sql.js'
import type { SweptRule } from '../rules/rule.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { fullPool, isPoolExhausted, POOL_REMEDY } from '../sequelize/pool-exhausted.js'
import { within } from '../wait.js'

/** A rule's orders that are overdue without an excuse. */
export interface OverdueOrders extends Overdue {
  kind: string
}

export interface Overdue {
  count: number
  /** How long the oldest one has been overdue, milliseconds. */
  ageMs: number
}

/** The last reading of one rule. */
export interface RuleLook {
  /** When, by `performance.now()`; undefined before the first reading. */
  at: number | undefined
  /** Undefined if nothing is overdue, or it could not be read. */
  overdue?: Overdue | undefined
  /** Why it could not be read, although Postgres answers. */
  why?: string
}

const LIMITS = { lockMs: 300, statementMs: 800, idleMs: 2_000 }
const WAIT_MS = 1_000

/** After this time a query counts as not answered: Postgres itself would have ended it earlier (LIMITS). */
const SILENT_MS = 2_000

const NOW = 'SELECT (extract(epoch from clock_timestamp()) * 1000)::float8 AS now'

/** Excuses are read only for orders that have been overdue for this long. */
export const EXCUSES_FROM_MS = 5_000

export class DatabaseLook {
  /** Why it does not answer; undefined if it does. */
  trouble: string | undefined
  /** Its clock minus this process's, milliseconds. */
  skewMs: number | undefined
  readonly looks = new Map<string, RuleLook>()
  private round: Promise<void> | undefined
  /** The running query, and its start. */
  private asking: { ofClock: boolean; since: number } | undefined

  constructor(
    readonly sequelize: Sequelize,
    /** The ids of orders on which a rule failed; undefined if Redis does not answer. */
    private readonly failedIds: (kind: string) => Promise<string[] | undefined>,
  ) {}

  /** Never rejects, and waits a second at most. @param rules those of this database */
  async look(rules: readonly SweptRule[]): Promise<void> {
    for (const rule of rules) if (!this.looks.has(rule.kind)) this.looks.set(rule.kind, { at: undefined })
    this.round ??= this.askAll(rules).finally(() => {
      this.round = undefined
    })
    await within(WAIT_MS, this.round)
    if (!this.asking) return
    const unansweredMs = performance.now() - this.asking.since
    if (unansweredMs > (this.asking.ofClock ? 0.9 * WAIT_MS : SILENT_MS)) this.trouble = this.silence(unansweredMs)
  }

  private silence(unansweredMs: number): string {
    const full = fullPool(this.sequelize)
    return `no answer in ${Math.round(unansweredMs)} ms${full === undefined ? '' : `: ${full}; ${POOL_REMEDY}`}`
  }

  private async askAll(rules: readonly SweptRule[]): Promise<void> {
    if (!(await this.answers())) return
    for (const rule of rules) {
      const found = await this.overdueOf(rule).then(
        (overdue) => ({ overdue }),
        (error) => ({ why: errorText(error) }),
      )
      if ('why' in found && !(await this.answers())) return // then the rule is not the reason
      this.looks.set(rule.kind, { at: performance.now(), ...found })
    }
  }

  private async answers(): Promise<boolean> {
    try {
      const skewMs = await this.ask(true, () => inTransaction(this.sequelize, LIMITS, (transaction) => skewOf(this.sequelize, transaction)))
      this.skewMs = skewMs ?? this.skewMs
      return true
    } catch (error) {
      this.trouble = isPoolExhausted(error) ? `${errorText(error)}; ${POOL_REMEDY}` : errorText(error)
      return false
    }
  }

  private async ask<T>(ofClock: boolean, question: () => Promise<T>): Promise<T> {
    this.asking = { ofClock, since: performance.now() }
    try {
      const answer = await question()
      this.trouble = undefined
      return answer
    } finally {
      this.asking = undefined
    }
  }

  private async overdueOf(rule: SweptRule): Promise<Overdue | undefined> {
    if (rule.row.options.dryRun) return undefined // it settles nothing
    const all = await this.count(rule, undefined)
    if (!all || all.ageMs <= EXCUSES_FROM_MS) return all
    if (rule.row.brake && (await this.ask(false, async () => rule.row.brake?.brakedAt())) !== null) return undefined
    if ((await this.ask(false, () => rule.row.holds.standing())).length > 0) return undefined
    const failed = await this.failedIds(rule.kind)
    return failed && failed.length > 0 ? this.count(rule, failed) : all
  }

  private async count({ row }: SweptRule, failed: string[] | undefined): Promise<Overdue | undefined> {
    const { sequelize } = this
    type Row = { count: number; age_ms: number | null }
    const read = (seesLocks: boolean) =>
      this.ask(false, () =>
        inTransaction(sequelize, LIMITS, (transaction) =>
          rows<Row>(sequelize, overdueSql(row, { seesLocks, knowsFailures: failed !== undefined }), failed && [failed], transaction),
        ),
      )
    const [found] = await read(true).catch((error) => {
      if (!CANNOT_SEE_LOCKS.includes(sqlStateOf(error) ?? '')) throw error
      return read(false)
    })
    return found && found.age_ms !== null ? { count: found.count, ageMs: found.age_ms } : undefined
  }
}

/** The clock was read about half a round trip ago. */
async function skewOf(sequelize: Sequelize, transaction: Transaction): Promise<number | undefined> {
  const askedAt = Date.now()
  const [row] = await rows<{ now: number }>(sequelize, NOW, [], transaction)
  return row && row.now - (askedAt + Date.now()) / 2
}
