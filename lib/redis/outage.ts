// What is wrong at present with timers that this process hands to Redis: told when the first is not taken and when it is over, however many
// there are, and asked again each second in between. A worker on the same timers has these faults too, and then it is the one that logs them.

import { type FaultReport, FaultsOf } from '../faults.js'
import type { Log, LogLevel } from '../logger.js'
import type { RedisConnection } from './connection.js'
import type { ReplyFault } from './replies.js'
import { assertUsable } from './server.js'
import { explain, reasonOf, redisError } from './trouble.js'

export type TimersFaultCode = ReplyFault | 'TIMERS_DROPPED'

const LOOK_EVERY_MS = 1_000
const ANSWER_MS = 1_000
const MEANWHILE = 'timers are kept for its return, and the sweep settles what comes due'

export class Outage {
  readonly faults: FaultsOf<TimersFaultCode>
  /** How many timers Redis did not get, and the sweep has instead, since so many were kept already. */
  dropped = 0
  private timer: NodeJS.Timeout | undefined
  private later: NodeJS.Timeout | undefined

  /**
   * @param again arms what was kept
   * @param workers how many workers run on these timers
   */
  constructor(
    private readonly connection: RedisConnection,
    log: Log,
    private readonly again: () => void,
    workers: () => number,
  ) {
    const tell = log as (level: LogLevel, ...more: unknown[]) => void
    const quieter = (level: LogLevel, ...more: unknown[]) => tell(workers() > 0 ? 'debug' : level, ...more)
    this.faults = new FaultsOf<TimersFaultCode>({ tell: () => {} }, Object.assign(quieter, { debugs: log.debugs, flush() {} }) as Log)
    connection.onUp(() => void this.look())
    connection.onDown((error) => {
      if (this.faults.list().length > 0 && !connection.leaving) this.tell(error) // for another reason than before
    })
    connection.refusals.onAccepted(() => this.end('REDIS_REFUSES'))
  }

  /** Redis did not take a timer. */
  notTaken(error: unknown): void {
    if (!this.faults.has(explain(error, this.connection.where).code)) this.tell(error)
  }

  private tell(error: unknown): void {
    const { connection } = this
    const { code, what, why, remedy } = explain(error, connection.where)
    if (code === 'REDIS_UNAVAILABLE' && connection.justWoke) {
      this.askLater()
      return
    }
    // Whoever answers is there, and whoever does not refuses nothing.
    if (code !== 'REDIS_UNAVAILABLE') this.end('REDIS_UNAVAILABLE')
    else if (!connection.refusals.present) this.end('REDIS_REFUSES')
    this.begin(code, { message: `${what} (${why}); ${MEANWHILE}`, remedy, error: reasonOf(error) })
    if (code === 'REDIS_REFUSES') void this.look()
  }

  /** A timer was not even kept for Redis's return. */
  drop(kept: number): void {
    this.dropped += 1
    if (this.faults.has('TIMERS_DROPPED')) return
    const message = `${kept} timers are kept for the return of Redis at ${this.connection.where}, and no more; the sweep settles those beyond`
    this.begin('TIMERS_DROPPED', { message })
  }

  /** Redis took timers. */
  taken(kept: number): void {
    if (kept === 0) this.end('TIMERS_DROPPED')
  }

  stop(): void {
    clearInterval(this.timer)
    clearTimeout(this.later)
  }

  /** This process stood still, and it may have been that which did not answer. */
  private askLater(): void {
    this.later ??= setTimeout(async () => {
      this.later = undefined
      await this.connection.run(ANSWER_MS, (client) => client.ping()).catch((error) => this.notTaken(error))
    }, LOOK_EVERY_MS).unref()
  }

  private begin(code: TimersFaultCode, report: FaultReport): void {
    this.timer ??= setInterval(() => void this.look(), LOOK_EVERY_MS).unref()
    this.faults.raise(code, report)
  }

  private end(code: TimersFaultCode): void {
    this.faults.clear(code)
    if (this.faults.list().length > 0) return
    clearInterval(this.timer)
    this.timer = undefined
  }

  /** After each connection, and each second while something is wrong: whatever was concluded is asked again. A command that is refused for what the server is may only say that it is refused. */
  private async look(): Promise<void> {
    const { connection, faults } = this
    if (!connection.ready || !connection.answering) return
    this.end('REDIS_UNAVAILABLE')
    try {
      await assertUsable(connection)
      this.end('REDIS_UNUSABLE')
    } catch (error) {
      const { code, message } = redisError(error, connection.where)
      if (code === 'ERR_ORDER_TIMERS_REDIS_UNUSABLE' && !faults.has('REDIS_UNUSABLE'))
        this.begin('REDIS_UNUSABLE', { message: message.replace(/^orderTimers: /, ''), error })
      return
    }
    if (!connection.refusals.present) this.end('REDIS_REFUSES')
    this.again()
  }
}
