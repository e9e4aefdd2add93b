// What an error says about the write that was asked for: `refused` where it is certain that nothing was written, else `unknown`.

import type { Answer } from '../history.js'

/** The row was not where it should have been: nothing was written. */
export class NotThere extends Error {
  override name = 'NotThere'
}

/** COMMIT was sent and not answered, or nobody can say what else became of the write. */
export class OutcomeUnknown extends Error {
  override name = 'OutcomeUnknown'
}

/** Anything failed before COMMIT was sent. */
export class RolledBack extends Error {
  override name = 'RolledBack'
}

const CERTAIN_CODES = new Set(['ERR_ORDER_TIMERS_ROW_LOCKED', 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE'])
/** Sequelize had no connection to send the statement on. */
const NOT_SENT = new Set(['SequelizeConnectionAcquireTimeoutError', 'SequelizeConnectionRefusedError'])
/** Postgres itself answered that this statement failed: data, constraints, rollbacks, syntax, a lock, a time limit, raised by a trigger, read only. */
const STATEMENT_FAILED = /^(?:22|23|25|40|42|55|P0)|^57014$/

export function answerOf(error: unknown): Exclude<Answer, 'ok'> {
  if (error instanceof NotThere || error instanceof RolledBack) return 'refused'
  if (error instanceof OutcomeUnknown) return 'unknown'
  const {
    name = '',
    status = 0,
    code = '',
    parent,
  } = error as { name?: string; status?: number; code?: string; parent?: { code?: string } }
  if (code.startsWith('ERR_ORDER_TIMERS_')) return status < 500 || CERTAIN_CODES.has(code) ? 'refused' : 'unknown'
  return NOT_SENT.has(name) || STATEMENT_FAILED.test(parent?.code ?? '') ? 'refused' : 'unknown'
}
