// The records of a chaos run, which everybody shares: what the shop asked for, what Postgres did, what the rules' own code did. Shop and
// workers append theirs to files, line by line, so that a killed process loses nothing that it had begun; the ledger (tables.ts) is Postgres's.

/** What a rule or an order is there to try. A run in which one of them has no orders fails. */
export const FEATURES = [
  'since',
  'deadline',
  'extend',
  'cancel',
  'pause',
  'declaredPause',
  'auto',
  'trigger',
  'cascade',
  'effect',
  'run',
  'individualHooks',
  'backfill',
  'history',
  'afterCommit',
  'reminders',
  'brake',
  'stale',
  'redisOnly',
  'handler',
  'dead',
  'where',
  'scope',
  'dryRun',
  'cls',
  'remaining',
  'list',
] as const
export type Feature = (typeof FEATURES)[number]

/**
 * The calls of `timers`; the ways in which a shop writes a row itself, by Sequelize (`create`, `write`) or past it (`rawSql`, also for an INSERT;
 * `remove`: a DELETE); and `setKey`, by which another service sets a timer's key in Redis. `remaining` and `list` only read.
 */
export type Call =
  | 'create'
  | 'write'
  | 'rawSql'
  | 'remove'
  | 'setKey'
  | 'schedule'
  | 'extend'
  | 'cancel'
  | 'pause'
  | 'resume'
  | 'retry'
  | 'release'
  | 'remaining'
  | 'list'

/** `refused` only where it is certain that nothing was written. `unknown` may be either. */
export type Answer = 'ok' | 'refused' | 'unknown'

/** One call of the shop. Instants are milliseconds since 1970 of `trueNow`. */
export interface Wish {
  /**
   * Of the statement: a bulk statement about several orders has a wish for each, with the same number. A row that the shop writes itself gets it
   * in its column `wish`, in the same statement. Unique in the run together with `id`.
   */
  n: number
  /** `shop 1` …: also the application_name of its connections. */
  process: string
  feature: Feature
  /** The rule that it is about: by whose `from` the order waits, or which a call names. */
  kind: string
  /** Null where the rule has no table. */
  table: string | null
  /** Null where the answer did not come and only Postgres could have said: the ledger knows it by the column `wish`. */
  id: string | null
  call: Call
  /** `after`, `at`, `by` in milliseconds; `from` and `to`: statuses of a write; what else a write sets, by column. */
  asked: Record<string, unknown>
  invokedAt: number
  /** When the answer came; Infinity where the process was gone before. */
  completedAt: number
  answer: Answer
  got?: {
    /** Milliseconds since 1970 of Postgres's clock, as the product sees it. */
    deadline?: number | null
    armed?: boolean | 'on commit'
    /** Of `remaining`: milliseconds, or null where there is no timer. */
    remaining?: number | null
    /** Of `list`: the order's timers. */
    list?: ListedTimer[]
    /** Of `release`: whether it was stopped. */
    was?: boolean
    /** Of an error: its code, else its name, and its message. */
    code?: string
    message?: string
  }
  /** The number of the wish with which it shares a transaction: that one's write, this call, one COMMIT. */
  within?: number
}

/** What `list` says of one rule. Instants are milliseconds since 1970 of Postgres's clock, as the product sees it. */
export interface ListedTimer {
  kind: string
  deadline: number
  /** Milliseconds. */
  remaining: number
}

/** What one row had before or after a change, by the columns' names. Instants are milliseconds since 1970; NULL is left out. */
export type Row = Record<string, number | string | boolean>

/** One line of the ledger: triggers write it for every insert, update and delete of a row, in the same transaction. */
export interface Change {
  /** Ascending for each row. */
  n: number
  table: string
  id: string
  op: 'insert' | 'update' | 'delete'
  txid: string
  /** Postgres's clock as the product sees it: a fault may move it. Milliseconds since 1970, with fractions. */
  at: number
  /** The same instant by the clock that no fault moves. */
  trueAt: number
  /** The connection's application_name: `worker 1`, `shop 2`, `by hand`. */
  by: string
  from: Row | null
  to: Row | null
  /** The wish whose own statement this was: only the shop's writes have it. */
  wish?: number
}

/** A row that `run` wrote in the settling transaction, for each order. */
export interface Effect {
  kind: string
  id: string
  txid: string
  at: number
  by: string
}

/** One call of the shop's code outside of the settling transaction, for each order. Written to a file before it takes effect. */
export interface Delivery {
  what: 'afterCommit' | 'reminder' | 'handler'
  kind: string
  id: string
  /** Null for handlers. */
  key: string | null
  by: string
  /** `trueNow`. */
  at: number
  /** `failed`: it threw afterwards, on purpose. */
  outcome: 'done' | 'failed'
  /** The order as the code was given it: its status, and its deadline in milliseconds since 1970. */
  status?: string
  deadline?: number | null
}

/** What a worker emitted, of what the judge may want: `settled` (with `ids`), `dryRun` (with `orders`), `failed`, `dead`, `stale`, `brake` … with its order or count. */
export interface Told {
  event: string
  by: string
  at: number
  kind?: string
  details?: Record<string, unknown>
}

/** What a rule is, as plain data for judge and faults. Statuses and ids are text. */
export interface RuleFacts {
  kind: string
  /** All that the rule is there to try. */
  features: readonly Feature[]
  table: string | null
  /** Of an effect: undefined, see `where`. */
  from?: readonly string[]
  to?: string
  /** Columns and the values that they must have: of an effect, where it applies; of a transition, what else must hold. */
  where?: Record<string, string | boolean>
  /** Columns that `set` writes, and their values. */
  set?: Record<string, string | boolean>
  deadline: { column: string } | { since: string } | 'redis'
  afterMs: number
  /** Other values of it, where another deployment ran for a while. */
  afters?: readonly number[]
  /** Who starts and ends its timers beside `schedule`. */
  starts?: 'auto' | 'trigger'
  backfill?: { since?: string }
  pause?: { keep: string; while?: Record<string, boolean> }
  /** A limit of `extend`: how often, or how much in all, and the column in which it is counted. */
  extensions?: { max: number; column: string } | { totalMs: number; column: string }
  run?: true
  afterCommit?: true
  history?: true
  reminders?: readonly { before: string; beforeMs: number; staleAfterMs: number }[]
  brake?: { max: number; perMs: number }
  staleAfterMs: number
  attempts: number
  dryRun?: true
  individualHooks?: true
  /** The rule into whose `from` this one's settlement leads, with a timer that starts in the same statement. */
  next?: string
}

/** All that is known of a run once it is over. */
export interface Histories {
  rules: readonly RuleFacts[]
  wishes: Wish[]
  changes: Change[]
  effects: Effect[]
  deliveries: Delivery[]
  told: Told[]
}

const realNow = Date.now.bind(Date)

/** Milliseconds since 1970 by the machine's clock, Postgres's too, also where a fault moves this process's `Date`. */
export const trueNow = (): number => realNow()
