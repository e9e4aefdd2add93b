// How far Postgres's clock is from Redis's: deadlines are Postgres's time, claims go by Redis's `TIME` plus this difference.

import type { Sequelize } from 'sequelize'
import { ClockEstimate } from '../clock-estimate.js'
import type { RedisClock } from '../redis/clock.js'
import { inTransaction, rows } from '../rules/database.js'
import type { BoundRule } from '../rules/rule.js'

const ASK_EVERY_MS = 5_000

/** A reading is as good as its round trip is short, and the first on a connection is slow. */
const CLOSE_ENOUGH_MS = 1
const MOST_READINGS = 5

/** About how long a transaction's first words are on their way to Postgres. */
const WAY_MS = 0.3

const LIMITS = { lockMs: 300, statementMs: 2_000, idleMs: 2_000 }
const NOW = 'SELECT (extract(epoch from clock_timestamp()) * 1000)::float8 AS now'

export class Clocks {
  private readonly estimates = new Map<Sequelize, ClockEstimate>()
  private timer: NodeJS.Timeout | undefined
  private asking: Promise<void> | undefined

  constructor(
    private readonly rules: ReadonlyMap<string, BoundRule>,
    private readonly redis: RedisClock | undefined,
    /** How many batches of a rule are settled at once. */
    private readonly concurrency: (rule: BoundRule) => number,
  ) {
    for (const { row } of rules.values()) if (row?.pending) this.estimates.set(row.guard.table.sequelize, new ClockEstimate())
  }

  start(): void {
    this.timer = setInterval(() => void this.keepWarm(), ASK_EVERY_MS)
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /**
   * Postgres's time minus Redis's, milliseconds; 0 for rules whose deadlines Redis alone knows, and while it is not known. Where readings
   * were slow it is the least that they allow, so that nothing is tried before it is due; less the time that a try needs to get there.
   */
  skewMs(kind: string): number {
    const postgres = this.estimate(kind)
    const [postgresNow, redisNow] = [postgres?.now(), this.redis?.known()]
    if (!this.redis || !postgres || postgresNow === undefined || redisNow === undefined) return 0
    return postgresNow - redisNow - Math.max(0, postgres.readingError + this.redis.readingError - WAY_MS)
  }

  /** How late something is that was due at this instant of the rule's own clock. */
  lateness(kind: string, deadlineMs: number): number | null {
    const now = this.rules.get(kind)?.row?.pending ? this.postgresNow(kind) : this.redis?.known()
    return now === undefined ? null : now - deadlineMs
  }

  /** Postgres's time without asking. */
  private postgresNow(kind: string): number | undefined {
    return this.estimate(kind)?.now()
  }

  private estimate(kind: string): ClockEstimate | undefined {
    const { row } = this.rules.get(kind) ?? {}
    return row?.pending && this.estimates.get(row.guard.table.sequelize)
  }

  /** Reads the clocks anew. Never rejects: where the database does not answer, the last reading stands. */
  ask(): Promise<void> {
    this.asking ??= this.askAll().finally(() => {
      this.asking = undefined
    })
    return this.asking
  }

  private async askAll(): Promise<void> {
    const postgres = [...this.estimates].map(([sequelize, estimate]) => this.askPostgres(sequelize, estimate))
    await Promise.all([this.redis?.now().catch(() => {}), ...postgres])
  }

  /** Asks on as many connections as settle at once: so they are open, and known to live, when a deadline comes. Never rejects. */
  async keepWarm(): Promise<void> {
    const asks = [...this.estimates].flatMap(([sequelize, estimate]) =>
      Array.from({ length: this.settlingAtOnce(sequelize) - 1 }, () => this.askPostgres(sequelize, estimate)),
    )
    await Promise.all([this.ask(), ...asks])
  }

  private settlingAtOnce(sequelize: Sequelize): number {
    const rules = [...this.rules.values()].filter(({ row }) => row?.guard.table.sequelize === sequelize)
    return Math.max(...rules.map(this.concurrency))
  }

  private async askPostgres(sequelize: Sequelize, estimate: ClockEstimate): Promise<void> {
    try {
      await inTransaction(sequelize, LIMITS, async (transaction) => {
        for (let readings = 0; readings < MOST_READINGS; readings += 1) {
          const askedAt = performance.now()
          const [row] = await rows<{ now: number }>(sequelize, NOW, [], transaction)
          if (row) estimate.note(row.now, askedAt, performance.now())
          if (estimate.error < CLOSE_ENOUGH_MS) break
        }
      })
    } catch {
      // said by the sweep and the dispatcher
    }
  }
}
