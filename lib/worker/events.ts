// The worker's typed events. None is called `error`, so no listener is needed. A listener that throws is logged and has no other effect.

import { EventEmitter } from 'node:events'
import { errorText } from '../error-text.js'
import { type Log, toLog } from '../logger.js'
import type { SettledOrder } from '../rows/settlement.js'

export { errorText }

/** The path that brought an order. */
export type Path = 'alarm' | 'event' | 'sweep'

export type FaultCode =
  | 'REDIS_UNAVAILABLE'
  | 'REDIS_UNUSABLE'
  | 'REDIS_REFUSES'
  | 'REDIS_LOST_DATA'
  | 'SUBSCRIBE_REFUSED'
  | 'SCAN_REFUSED'
  | 'EVENTS_OFF'
  | 'EVICTION'
  | 'POSTGRES_UNAVAILABLE'
  | 'SWEEP_FAILED'
  | 'SWEEP_BLOCKED'
  | 'INVALID_MODEL'
  | 'NOT_LOOKED_AT'
  | 'INTERNAL'
  | 'BRAKED'
  | 'RUN_UNFINISHED'
  | 'VERIFY_FAILED'
  | 'UNVERIFIED'
  | 'ROW_LOCKED'
  | 'KIND_UNSERVED'
  | 'RULES_DIFFER'
  | 'OTHER_REDIS'
  | 'PREFIX_SHARED'

export interface WorkerEvents {
  /** Orders were settled, and their transaction has committed. */
  settled: [{ kind: string; via: Path; orders: SettledOrder[] }]
  /** A reminder's `run` succeeded; `before` is as it was declared, such as `'2h'`. */
  reminded: [{ kind: string; before: string; via: Path; orders: SettledOrder[] }]
  /** With `dryRun`: orders that would have been settled, once for each deadline. */
  dryRun: [{ kind: string; via: Path; orders: SettledOrder[] }]
  /** Orders match the rule and have no deadline, so nothing will settle them. `count` is exact up to 1,000. */
  undated: [{ kind: string; count: number }]
  /** Orders have a deadline, but the rule does not apply to them. One that returns before its deadline is settled by it. `count` is exact up to 1,000. */
  left: [{ kind: string; count: number }]
  /** A rule, a reminder or `afterCommit` failed on an order. It is retried in `retryInMs`; null: never (a reminder, or `afterCommit` without history). */
  failed: [{ kind: string; id: string; error: unknown; attempts: number; retryInMs: number | null }]
  /** The last attempt failed. For a rule: the order is a dead letter until `retry`. For `afterCommit`: the order is settled, and the history has the error. */
  dead: [{ kind: string; id: string; error: unknown; attempts: number }]
  /** Orders are overdue by more than `staleAfter` and are not settled. `count` is exact up to 1,000. */
  stale: [{ kind: string; count: number; oldest: Date }]
  /** Something is wrong, and the worker continues. Emitted once, until `recovered`. */
  fault: [
    { code: FaultCode; kind?: string; channel?: string; node?: string; message: string; cause?: string; remedy?: string; error?: unknown },
  ]
  /** A fault is over; `since` is when it began. */
  recovered: [{ code: FaultCode; kind?: string; channel?: string; node?: string; since: Date }]
  /** A sweep has ended. `overdue`: orders that it found overdue. `armed`: timers that it armed. `horizonMs`: how much of `durationMs` went into arming. */
  swept: [{ overdue: number; armed: number; durationMs: number; horizonMs: number }]
  /** Redis had lost these rules' timers, and those that come due soon were armed again from Postgres; `armed`: how many. */
  restored: [{ kinds: string[]; armed: number }]
  /** The worker has stopped. */
  stopped: []
}

export class WorkerEmitter extends EventEmitter<WorkerEvents> {
  private log: Log = toLog(false)

  /** @internal */
  logTo(log: Log): this {
    this.log = log
    return this
  }

  /** @internal Emits an event. A listener that throws is logged and has no other effect. */
  emitSafely<E extends keyof WorkerEvents>(event: E, ...args: WorkerEvents[E]): void {
    try {
      // biome-ignore lint/suspicious/noExplicitAny: EventEmitter's own signature cannot follow a generic event
      this.emit(event, ...(args as any))
    } catch (error) {
      this.log('error', `a listener of "${event}" threw`, { code: 'LISTENER_THREW', event, error: errorText(error) })
    }
  }
}
