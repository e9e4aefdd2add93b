// How long our own statements may take. Each transaction sets these as `lock_timeout`, `statement_timeout` and
// `idle_in_transaction_session_timeout`: https://www.postgresql.org/docs/current/runtime-config-client.html

export interface StatementLimits {
  /** How long to wait for a row's or table's lock. */
  lockMs: number
  /** How long one statement may take. */
  statementMs: number
  /** How long the transaction may sit idle, so that a worker host that vanished does not keep its locks until TCP notices. */
  idleMs: number
  /** Has Postgres plan the statements and carry out none of them; each answers with no rows. A function gets the lines of each plan. */
  explains?: true | ((plan: string[]) => void) | undefined
}

/** A longer wait means a long transaction of somebody else; the work is tried again later. */
const SHORT_LOCK_MS = 300

/** One statement in a transaction of its own. */
export const ONE_STATEMENT: StatementLimits = { lockMs: 2_000, statementMs: 2_000, idleMs: 2_000 }

/** A check of tables and statements, which Postgres plans and does not run. */
export const LOOK: StatementLimits = { lockMs: SHORT_LOCK_MS, statementMs: 2_000, idleMs: 5_000 }

/** A secondary query, such as the time or who holds a lock. */
export const QUESTION: StatementLimits = { lockMs: SHORT_LOCK_MS, statementMs: 2_000, idleMs: 2_000 }

/** A query that a request, or a message, waits for. */
export const QUICK_QUESTION: StatementLimits = { lockMs: SHORT_LOCK_MS, statementMs: 1_000, idleMs: 2_000 }

/** Settling, with the shop's code, which may take as long as the rule's timeout. */
export function settlingLimits(timeoutMs: number): StatementLimits {
  return { lockMs: SHORT_LOCK_MS, statementMs: timeoutMs, idleMs: timeoutMs + 5_000 }
}
