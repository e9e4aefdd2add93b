// What a look at readiness asks Postgres: its clock, and of each rule which orders are overdue. Each statement is short and by itself, so one rule's
// trouble does not hide another rule. One look at a time uses one connection of the shop's pool.

import type { Sequelize, Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { CANNOT_SEE_LOCKS } from '../rows/order-counts-sql.js'
import { overdueSql } from '../rows/overdue-sql.js'
import { isSwept, type SweptRule } from '../rules/rule.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import type { Runtime } from '../timers/runtime.js'
import { within } from '../wait.js'

/** A rule's orders that are overdue although nothing excuses it. */
export interface OverdueOrders {
  kind: string
  count: number
  /** By how much the oldest one is overdue, and its deadline, milliseconds. */
  ageMs: number
  deadlineMs: number
}

export interface PostgresReading {
  /** Why it does not answer; undefined where it does. */
  trouble: string | undefined
  /** Its clock minus this process's, milliseconds; of several databases the one that is furthest away. */
  skewMs: number | undefined
  overdue: OverdueOrders[]
  /** Rules whose orders could not be read, although Postgres answers. */
  unread: { kind: string; why: string }[]
}

const LIMITS = { lockMs: 300, statementMs: 800, idleMs: 2_000 }
const WAIT_MS = 1_000
const NOW = 'SELECT (extract(epoch from clock_timestamp()) * 1000)::float8 AS now'

/** Only when an order has been overdue for so long is it asked what may excuse it. */
const EXCUSES_FROM_MS = 5_000

export class PostgresLook {
  private asking: Promise<PostgresReading> | undefined

  constructor(
    private readonly runtime: Runtime,
    /** The ids of orders on which a rule failed; undefined where Redis does not say. */
    private readonly failedIds: (kind: string) => Promise<string[] | undefined>,
  ) {}

  /** Never rejects, and waits a second at most. @returns undefined where no rule has rows */
  async read(): Promise<PostgresReading | undefined> {
    const { rules, unbound } = this.rules()
    if (rules.length + unbound.length === 0) return undefined
    if (rules.length === 0) return { ...NOTHING, unread: unbound }
    this.asking ??= this.ask(rules).finally(() => {
      this.asking = undefined
    })
    const reading = await within(WAIT_MS, this.asking)
    if (!reading) return { ...NOTHING, trouble: `no answer in ${WAIT_MS} ms`, unread: unbound }
    return { ...reading, unread: [...unbound, ...reading.unread] }
  }

  private async ask(rules: readonly SweptRule[]): Promise<PostgresReading> {
    const reading: PostgresReading = { trouble: undefined, skewMs: undefined, overdue: [], unread: [] }
    for (const sequelize of new Set(rules.map(({ row }) => row.guard.table.sequelize))) {
      try {
        const skewMs = await inTransaction(sequelize, LIMITS, (transaction) => skewOf(sequelize, transaction))
        if (skewMs !== undefined && Math.abs(skewMs) >= Math.abs(reading.skewMs ?? 0)) reading.skewMs = skewMs
      } catch (error) {
        return { ...reading, trouble: errorText(error) }
      }
    }
    for (const rule of rules) {
      try {
        const overdue = await this.overdueOf(rule)
        if (overdue) reading.overdue.push({ kind: rule.kind, ...overdue })
      } catch (error) {
        reading.unread.push({ kind: rule.kind, why: errorText(error) })
      }
    }
    return reading
  }

  private async overdueOf(rule: SweptRule): Promise<Omit<OverdueOrders, 'kind'> | undefined> {
    if (rule.row.options.dryRun) return undefined // it settles nothing
    const all = await this.count(rule, undefined)
    if (!all || all.ageMs <= EXCUSES_FROM_MS) return all
    if (rule.row.brake && (await rule.row.brake.brakedAt()) !== null) return undefined
    const failed = await this.failedIds(rule.kind)
    return failed && failed.length > 0 ? this.count(rule, failed) : all
  }

  private async count({ row }: SweptRule, failed: string[] | undefined): Promise<Omit<OverdueOrders, 'kind'> | undefined> {
    const { sequelize } = row.guard.table
    type Row = { count: number; deadline_ms: number | null; age_ms: number | null }
    const read = (seesLocks: boolean) =>
      inTransaction(sequelize, LIMITS, (transaction) =>
        rows<Row>(sequelize, overdueSql(row, { seesLocks, knowsFailures: failed !== undefined }), failed && [failed], transaction),
      )
    const [found] = await read(true).catch((error) => {
      if (!CANNOT_SEE_LOCKS.includes(sqlStateOf(error) ?? '')) throw error
      return read(false)
    })
    if (!found || found.deadline_ms === null || found.age_ms === null) return undefined
    return { count: found.count, ageMs: found.age_ms, deadlineMs: found.deadline_ms }
  }

  private rules(): { rules: SweptRule[]; unbound: { kind: string; why: string }[] } {
    const rules: SweptRule[] = []
    const unbound: { kind: string; why: string }[] = []
    for (const kind of this.runtime.kinds) {
      try {
        const rule = this.runtime.rule(kind)
        if (isSwept(rule)) rules.push(rule)
      } catch (error) {
        unbound.push({ kind, why: errorText(error) })
      }
    }
    return { rules, unbound }
  }
}

const NOTHING: PostgresReading = { trouble: undefined, skewMs: undefined, overdue: [], unread: [] }

/** Half of what the question took is the answer's way, which is known to that only. */
async function skewOf(sequelize: Sequelize, transaction: Transaction): Promise<number | undefined> {
  const askedAt = Date.now()
  const [row] = await rows<{ now: number }>(sequelize, NOW, [], transaction)
  return row && row.now - (askedAt + Date.now()) / 2
}
