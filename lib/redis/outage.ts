// The faults of a process that arms timers: each is reported when Redis first does not accept a timer and when that is over, and in between
// it is checked each second. A worker on the same timers has these faults too, and then only the worker logs them at their level.

import { type FaultReport, FaultsOf } from '../faults.js'
import type { Log, LogLevel } from '../logger.js'
import type { RedisConnection } from './connection.js'
import { missingIn } from './primaries.js'
import type { ReplyFault } from './replies.js'
import { assertUsable } from './server.js'
import { explain, reasonOf, redisError } from './trouble.js'

export type TimersFaultCode = ReplyFault | 'TIMERS_DROPPED'

const CHECK_EVERY_MS = 1_000
const ANSWER_MS = 1_000

/** In a cluster a fault ends once no call has gone unanswered for this long. Longer than two checks, each of which arms what was kept. */
const QUIET_MS = 3_000
const CONSEQUENCE = 'timers are kept until it returns, and the sweep settles what comes due'

export class Outage {
  readonly faults: FaultsOf<TimersFaultCode>
  /** How many timers were left to the sweep because the limit of kept ones was reached. */
  dropped = 0
  private checks: NodeJS.Timeout | undefined
  private ping: NodeJS.Timeout | undefined
  private checking = false
  private unansweredAt = Number.NEGATIVE_INFINITY

  /**
   * @param armKept arms the timers that were kept
   * @param workers how many workers run on these timers
   */
  constructor(
    private readonly connection: RedisConnection,
    log: Log,
    private readonly armKept: () => void,
    workers: () => number,
  ) {
    const write = log as (level: LogLevel, ...more: unknown[]) => void
    const quieter = (level: LogLevel, ...more: unknown[]) => write(workers() > 0 ? 'debug' : level, ...more)
    this.faults = new FaultsOf<TimersFaultCode>({ emitSafely() {} }, Object.assign(quieter, { debugs: log.debugs, flush() {} }) as Log)
    connection.onUp(() => void this.check())
    connection.onDown((error) => {
      if (this.faults.list().length > 0 && !connection.leaving) this.report(error) // the reason has changed
    })
    connection.refusals.onAccepted(() => this.end('REDIS_REFUSES'))
  }

  /** Redis did not accept a timer. */
  notTaken(error: unknown): void {
    const { code } = explain(error, this.connection.where)
    if (code === 'REDIS_UNAVAILABLE') this.unansweredAt = performance.now()
    if (!this.faults.has(code)) this.report(error)
  }

  private report(error: unknown): void {
    const { connection } = this
    const { code, what, why, remedy } = explain(error, connection.where)
    if (code === 'REDIS_UNAVAILABLE' && connection.justWoke) {
      this.pingLater()
      return
    }
    // A Redis that answers is not unavailable, and one that does not answer refuses nothing.
    if (code !== 'REDIS_UNAVAILABLE') this.endUnavailable()
    else if (!connection.refusals.present) this.end('REDIS_REFUSES')
    const missing = missingIn(connection.client)
    const at = missing.length > 0 ? `, at least its node ${missing.join(', ')}` : ''
    this.begin(code, { message: `${what}${at} (${why}); ${CONSEQUENCE}`, remedy, error: reasonOf(error) })
    if (code === 'REDIS_REFUSES') void this.check()
  }

  /** A timer was not kept. @param kept how many are */
  drop(kept: number): void {
    this.dropped += 1
    if (this.faults.has('TIMERS_DROPPED')) return
    const message = `${kept} timers are kept until Redis at ${this.connection.where} returns, and no more; the sweep settles the rest, but what was set or cancelled only in Redis is lost`
    this.begin('TIMERS_DROPPED', { message })
  }

  /** Redis accepted timers. @param kept how many are still kept */
  taken(kept: number): void {
    if (kept === 0) this.end('TIMERS_DROPPED')
  }

  stop(): void {
    clearInterval(this.checks)
    clearTimeout(this.ping)
  }

  /** This process stood still, which may explain the missing answer. */
  private pingLater(): void {
    this.ping ??= setTimeout(async () => {
      this.ping = undefined
      await this.connection.run(ANSWER_MS, (client) => client.ping()).then(this.armKept, (error) => this.notTaken(error))
    }, CHECK_EVERY_MS).unref()
  }

  private begin(code: TimersFaultCode, report: FaultReport): void {
    this.checks ??= setInterval(() => void this.check(), CHECK_EVERY_MS).unref()
    this.faults.raise(code, report)
  }

  private end(code: TimersFaultCode): void {
    this.faults.clear(code)
    if (this.faults.list().length > 0) return
    clearInterval(this.checks)
    this.checks = undefined
  }

  /** Redis answers. In a cluster this proves nothing about a moving slot, whose calls go unanswered. */
  private endUnavailable(): void {
    if (this.connection.topology === 'cluster' && performance.now() - this.unansweredAt < QUIET_MS) return
    this.end('REDIS_UNAVAILABLE')
  }

  /**
   * After each connection, and each second during a fault. It also asks what kind of server this is, since some refuse a command without
   * saying that they cannot serve at all.
   */
  private async check(): Promise<void> {
    const { connection, faults } = this
    if (!connection.ready || !connection.answering || this.checking) return
    this.checking = true
    try {
      await assertUsable(connection)
      this.endUnavailable()
      this.end('REDIS_UNUSABLE')
    } catch (error) {
      const { code, message } = redisError(error, connection.where)
      if (code !== 'ERR_ORDER_TIMERS_REDIS_UNUSABLE') {
        if (connection.topology === 'cluster') this.armKept() // the other nodes accept their timers
        return
      }
      this.end('REDIS_UNAVAILABLE')
      if (!faults.has('REDIS_UNUSABLE')) this.begin('REDIS_UNUSABLE', { message: message.replace(/^orderTimers: /, ''), error })
      return
    } finally {
      this.checking = false
    }
    if (!connection.refusals.present) this.end('REDIS_REFUSES')
    this.armKept()
  }
}
