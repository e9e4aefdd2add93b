// The difference between Postgres's clock and Redis's. Deadlines are in Postgres's time; timers are claimed by Redis's `TIME` plus this difference.

import type { Sequelize, Transaction } from 'sequelize'
import type { ClockEstimate } from '../clock-estimate.js'
import type { RedisClock } from '../redis/clock.js'
import { type BoundRule, isSwept } from '../rules/rule.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { NOW_SQL, type NowRow, notePostgresClock, postgresClock } from '../sequelize/postgres-clock.js'
import { QUESTION } from '../sequelize/statement-limits.js'

/**
 * A clock is read until the error is this small, which is half a round trip on the same machine, until readings are no better than one before, or so many
 * times. Timers are claimed later by the error, and the first readings on a connection are slow.
 */
const CLOSE_ENOUGH_MS = 0.15
const MOST_READINGS = 10
const MOST_IN_VAIN = 2

/** About how long a transaction's first statement takes to reach Postgres. */
const TRANSIT_MS = 0.3

export class Clocks {
  /** The databases with deadlines. */
  private readonly databases = new Set<Sequelize>()

  constructor(
    private readonly rules: ReadonlyMap<string, BoundRule>,
    private readonly redis: RedisClock | undefined,
  ) {
    for (const rule of rules.values()) if (isSwept(rule)) this.databases.add(rule.row.guard.table.sequelize)
  }

  /**
   * Postgres's time minus Redis's, in a cluster that of the partition's node, in milliseconds; 0 for rules whose deadlines are only in Redis, and while unknown. It is the smallest
   * difference that the readings allow, so that nothing is claimed early, plus the time that a settlement needs to reach Postgres.
   */
  skewMs(kind: string, partition = 0): number {
    const postgres = this.estimate(kind)
    const [postgresNow, redisNow] = [postgres?.now(), this.redis?.known(partition)]
    if (!this.redis || !postgres || postgresNow === undefined || redisNow === undefined) return 0
    return postgresNow - redisNow - Math.max(0, postgres.readingError + this.redis.readingError(partition) - TRANSIT_MS)
  }

  /**
   * When a settlement may begin so that Postgres has its deadline behind it, by `performance.now()`: from Postgres's clock alone, since Redis's reply has
   * been under way for a while. Undefined for rules whose deadlines are only in Redis, and while Postgres's clock is unknown.
   */
  dueAt(kind: string, deadlineMs: number): number | undefined {
    const postgres = this.estimate(kind)
    const now = postgres?.now()
    if (!postgres || now === undefined) return undefined
    return performance.now() + deadlineMs - now + Math.max(0, postgres.readingError - TRANSIT_MS)
  }

  /** Milliseconds since a deadline, by the clock of the rule's deadlines; null while that clock is unknown. */
  lateness(kind: string, deadlineMs: number): number | null {
    const now = isSwept(this.rules.get(kind)) ? this.estimate(kind)?.now() : this.redis?.known()
    return now === undefined ? null : now - deadlineMs
  }

  private estimate(kind: string): ClockEstimate | undefined {
    const rule = this.rules.get(kind)
    return isSwept(rule) ? postgresClock(rule.row.guard.table.sequelize) : undefined
  }

  /** Reads every clock. Never rejects: if a server does not answer, its last reading is kept. */
  async read(): Promise<void> {
    const postgres = [...this.databases].map((sequelize) =>
      inTransaction(sequelize, QUESTION, (transaction) => this.readPostgres(sequelize, transaction)).catch(() => {}),
    )
    await Promise.all([this.readRedis(), ...postgres])
  }

  /** Never rejects. */
  async readRedis(): Promise<void> {
    await this.redis?.now().catch(() => {})
  }

  /** Reads Postgres's clock in an open transaction, if a rule needs it. */
  async readPostgres(sequelize: Sequelize, transaction: Transaction): Promise<void> {
    if (!this.databases.has(sequelize)) return
    const estimate = postgresClock(sequelize)
    const isExact = () => estimate.error < CLOSE_ENOUGH_MS
    for (let [readings, inVain] = [0, 0]; !isExact() && readings < MOST_READINGS && inVain < MOST_IN_VAIN; readings += 1) {
      const { error } = estimate
      const askedAt = performance.now()
      const [row] = await rows<NowRow>(sequelize, `SELECT ${NOW_SQL}`, [], transaction)
      notePostgresClock(sequelize, row, askedAt)
      inVain = estimate.error < error ? 0 : inVain + 1
    }
  }
}
