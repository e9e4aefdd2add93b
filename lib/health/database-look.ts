// What a look at readiness asks one database: its clock, and of each rule which orders are overdue. Each question is short and by itself, so one rule's
// trouble does not hide another rule. One round of questions at a time uses one connection of the shop's pool; whoever looks meanwhile waits a
// second at most, and takes what the round has found so far.

import type { Sequelize, Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { CANNOT_SEE_LOCKS } from '../rows/order-counts-sql.js'
import { overdueSql } from '../rows/overdue-sql.js'
import type { SweptRule } from '../rules/rule.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { fullPool, isPoolExhausted, POOL_REMEDY } from '../sequelize/pool-exhausted.js'
import { within } from '../wait.js'

/** A rule's orders that are overdue although nothing excuses it. */
export interface OverdueOrders extends Overdue {
  kind: string
}

export interface Overdue {
  count: number
  /** By how much the oldest one is overdue, milliseconds. */
  ageMs: number
}

/** What was last found of one rule. */
export interface RuleLook {
  /** When, by `performance.now()`; undefined where nobody has looked yet. */
  at: number | undefined
  /** Undefined where nothing is overdue, or it could not be read. */
  overdue?: Overdue | undefined
  /** Why it could not be read, although Postgres answers. */
  why?: string
}

const LIMITS = { lockMs: 300, statementMs: 800, idleMs: 2_000 }
const WAIT_MS = 1_000

/** A question that Postgres itself ends sooner (LIMITS) was not answered at all. */
const SILENT_MS = 2_000

const NOW = 'SELECT (extract(epoch from clock_timestamp()) * 1000)::float8 AS now'

/** Only when an order has been overdue for so long is it asked what may excuse it. */
export const EXCUSES_FROM_MS = 5_000

export class DatabaseLook {
  /** Why it does not answer; undefined where it does. */
  trouble: string | undefined
  /** Its clock minus this process's, milliseconds. */
  skewMs: number | undefined
  readonly looks = new Map<string, RuleLook>()
  private round: Promise<void> | undefined
  /** The question that is under way, and since when. */
  private asking: { ofClock: boolean; since: number } | undefined

  constructor(
    readonly sequelize: Sequelize,
    /** The ids of orders on which a rule failed; undefined where Redis does not say. */
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
      if ('why' in found && !(await this.answers())) return // then it is not the rule's trouble
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

/** Half of what the question took is the answer's way, which is known to that only. */
async function skewOf(sequelize: Sequelize, transaction: Transaction): Promise<number | undefined> {
  const askedAt = Date.now()
  const [row] = await rows<{ now: number }>(sequelize, NOW, [], transaction)
  return row && row.now - (askedAt + Date.now()) / 2
}
