// Turns errors of the servers into coded errors, for `next(err)`. An error that the shop's own code or data caused keeps its
// class; a database error loses its statement, its parameters and the row that it shows.

import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'
import { redactedCause } from '../redacted-cause.js'
import { isReply } from '../redis/replies.js'
import { redisError } from '../redis/trouble.js'
import { faultOwnerOf } from '../sequelize/fault-owner.js'
import { isPoolExhausted, POOL_REMEDY } from '../sequelize/pool-exhausted.js'
import { remedyOf } from '../sequelize/wrong-statement.js'

/** @param where Redis's address, for the message */
export async function codedErrors<T>(where: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    if (isReply(cause)) throw redisError(cause, where)
    const whose = cause instanceof OrderTimersError ? undefined : faultOwnerOf(cause)
    const what = `orderTimers: Postgres did not carry out the statement (${errorText(cause)})`
    if (isPoolExhausted(cause)) throw poolExhausted(cause)
    if (whose === 'database') throw new OrderTimersError('POSTGRES_UNAVAILABLE', `${what}; it is safe to try again`, { cause })
    if (whose === 'configuration')
      throw new OrderTimersError('INVALID_MODEL', `${what}; ${remedyOf(cause)}; timers.check() says more`, { cause })
    throw redactedCause(cause)
  }
}

function poolExhausted(cause: unknown): OrderTimersError {
  const message = `orderTimers: ${errorText(cause)}, so nothing was sent to Postgres; ${POOL_REMEDY}; it is safe to try again`
  return new OrderTimersError('POSTGRES_UNAVAILABLE', message, { cause })
}
