// The public types of changes to the deadlines of many orders: what goes in, and what comes out.

import type { Duration } from './duration.js'

/** The argument of `onProgress`, which is called after each portion. */
export interface BulkProgress {
  kind: string
  /** The run's id in `order_timers_runs`. */
  run: string
  moved: number
  /** How many orders there were when the run began. */
  planned: number
  /** How many rows are locked by other transactions; they are tried again at the end. */
  skipped: number
}

/** How to follow and stop a run. */
export interface RunOptions {
  onProgress?: ((progress: BulkProgress) => void) | undefined
  /** Once it is aborted, the run stops after a portion, and the kind stays held until `resumeRun` or `abandonRun`. */
  signal?: AbortSignal | undefined
}

/** Which orders, and how. Either `where` or `all: true` must be given. */
export interface BulkOptions extends RunOptions {
  /** Attributes of the model with a value or a list of values, without operators. */
  where?: Record<string, unknown> | undefined
  /** All orders that the rule applies to. */
  all?: boolean | undefined
  /** Only counts and shows what would be done. */
  dryRun?: boolean | undefined
  /** The reason, for the record of actions. */
  reason?: string | undefined
}

export interface ExtendAllOptions extends BulkOptions {
  /** By how much each deadline moves. It does not count towards `maxExtensions` and `maxTotal`. */
  by: Duration
}

export interface ScheduleAllOptions extends BulkOptions {
  /** From the run's start to the deadline. Default: the rule's `after`. */
  after?: Duration | undefined
  /** The deadline itself, in the future, as a Date or in milliseconds since 1970. */
  at?: Date | number | undefined
  /** Also orders that have a deadline. Default: only those that have none. */
  overwrite?: boolean | undefined
}

/** What a run will change, before anything is written. */
export interface BulkPlan {
  /** How many orders. */
  count: number
  /** The first of them by id, with the present and the new deadline; null for none. */
  samples: { id: string; before: Date | null; after: Date | null }[]
  /** How many row versions VACUUM will have to remove. */
  deadTuples: number
  /** About how much is written to Postgres's WAL, and so to each replica, in bytes. */
  walBytes: number
}

export interface BulkResult {
  kind: string
  action: 'extendAll' | 'scheduleAll' | 'cancelAll'
  /** The run's id in `order_timers_runs`; null with `dryRun`, and if there was nothing to do. */
  run: string | null
  moved: number
  /** Undefined for a run that was resumed. */
  plan: BulkPlan | undefined
}
