// What a readiness reading knows of Postgres: overdue orders on the rules' rows, and its clock. Each database is asked separately
// (database-look.ts). A rule that a reading did not reach keeps its last facts, with their age; without any it counts as not looked at.

import type { Sequelize } from 'sequelize'
import { errorText } from '../error-text.js'
import { isSwept, type SweptRule } from '../rules/rule.js'
import type { Runtime } from '../timers/runtime.js'
import { DatabaseLook, type OverdueOrders, type RuleLook } from './database-look.js'

export interface PostgresReading {
  /** Why it does not answer; undefined if it does. */
  trouble: string | undefined
  /** Its clock minus this process's, milliseconds; of several databases the largest difference. */
  skewMs: number | undefined
  overdue: ReadOrders[]
  /** Rules whose orders could not be read, although Postgres answers. */
  unread: { kind: string; why: string }[]
  /** Rules that were not reached in time, although Postgres answers. */
  notLookedAt: string[]
}

/** Overdue orders as they were last read. */
export interface ReadOrders extends OverdueOrders {
  /** How long ago, milliseconds; 0 where they were read for this reading. */
  agoMs: number
}

/** How long the facts about a rule stay valid. */
const BELIEVED_MS = 10_000

export class PostgresLook {
  private readonly databases = new Map<Sequelize, DatabaseLook>()

  constructor(
    private readonly runtime: Runtime,
    /** The ids of orders on which a rule failed; undefined if Redis does not answer. */
    private readonly failedIds: (kind: string) => Promise<string[] | undefined>,
  ) {}

  /** Never rejects, and waits a second at most. @returns undefined if no rule has rows */
  async read(): Promise<PostgresReading | undefined> {
    const begunAt = performance.now()
    const { rules, unread } = this.rules()
    if (rules.length + unread.length === 0) return undefined
    const reading: PostgresReading = { trouble: undefined, skewMs: undefined, overdue: [], unread, notLookedAt: [] }
    const databases = [...new Set(rules.map(databaseOf))].map((sequelize) => this.database(sequelize))
    await Promise.all(databases.map((database) => database.look(rules.filter((rule) => databaseOf(rule) === database.sequelize))))
    for (const { trouble, skewMs, looks } of databases) {
      if (trouble !== undefined) reading.trouble = trouble
      else if (skewMs !== undefined && Math.abs(skewMs) >= Math.abs(reading.skewMs ?? 0)) reading.skewMs = skewMs
      if (trouble === undefined) for (const [kind, look] of looks) take(reading, kind, look, begunAt)
    }
    return reading
  }

  private database(sequelize: Sequelize): DatabaseLook {
    const known = this.databases.get(sequelize) ?? new DatabaseLook(sequelize, this.failedIds)
    this.databases.set(sequelize, known)
    return known
  }

  private rules(): { rules: SweptRule[]; unread: PostgresReading['unread'] } {
    const rules: SweptRule[] = []
    const unread: PostgresReading['unread'] = []
    for (const kind of this.runtime.kinds) {
      try {
        const rule = this.runtime.rule(kind)
        if (isSwept(rule)) rules.push(rule)
      } catch (error) {
        unread.push({ kind, why: errorText(error) })
      }
    }
    return { rules, unread }
  }
}

function databaseOf({ row }: SweptRule): Sequelize {
  return row.guard.table.sequelize
}

function take(reading: PostgresReading, kind: string, { at, overdue, why }: RuleLook, begunAt: number): void {
  if (at === undefined || performance.now() - at > BELIEVED_MS) reading.notLookedAt.push(kind)
  else if (why !== undefined) reading.unread.push({ kind, why })
  else if (overdue) reading.overdue.push({ kind, ...overdue, agoMs: Math.max(0, begunAt - at) })
}
