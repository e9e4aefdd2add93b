// Checks a call's transaction before anything is sent: it must be a Sequelize transaction, of the rule's own Sequelize, and
// not finished. With a finished one the write would run outside any transaction, and the commit that arms the timer would never come.

import { types } from 'node:util'
import type { Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { OrderTimersError, show } from '../errors.js'
import { transactionOf } from './after-commit.js'
import { faultOwnerOf, sqlStateOf } from './fault-owner.js'
import type { InternalTransaction } from './internals.js'
import { IN_FAILED_TRANSACTION } from './sqlstates.js'

/**
 * @param where the beginning of the message
 * @param given what the caller passed; `null` means none, `undefined` means that of Sequelize's CLS namespace, if there is one
 * @param sequelize the Sequelize of the rule's model; none for rules without a model
 * @throws OrderTimersError INVALID_OPTION, TRANSACTION_FINISHED
 */
export function callTransaction(where: string, given: unknown, sequelize: object | undefined): Transaction | undefined {
  const found: unknown = sequelize ? transactionOf(given as Transaction | null | undefined, sequelize) : (given ?? undefined)
  if (found === undefined) return undefined
  if (!isTransaction(found)) {
    const message = `${where}: "transaction" must be a Sequelize transaction, or null for none, got ${show(found)}`
    throw new OrderTimersError('INVALID_OPTION', message)
  }
  if (sequelize && found.sequelize !== undefined && found.sequelize !== sequelize) {
    const isPassed = given !== undefined
    const which = isPassed ? '"transaction"' : 'the transaction of the CLS namespace'
    const own = "begin it with the model's own: Order.sequelize.transaction(…)"
    const remedy = isPassed ? own : 'pass { transaction: null } to write outside of it'
    throw new OrderTimersError('INVALID_OPTION', `${where}: ${which} belongs to another Sequelize instance than the model; ${remedy}`)
  }
  refuseFinished(where, found, given !== undefined)
  refuseReplica(where, found)
  return found
}

function refuseFinished(where: string, transaction: InternalTransaction, passed: boolean): void {
  for (let level: InternalTransaction | null | undefined = transaction; level; level = level.parent) {
    if (level.finished === undefined) continue
    const which = passed ? '"transaction" was' : 'the transaction of the CLS namespace was'
    const what = level.finished === 'commit' ? 'committed' : 'rolled back'
    const remedy = 'await the call before the transaction ends, or pass { transaction: null } to write outside of it'
    throw new OrderTimersError('TRANSACTION_FINISHED', `${where}: ${which} ${what} already, and nothing was written; ${remedy}`)
  }
}

/** A read-only transaction gets a replica's connection: its data may be outdated, and nothing can be written. */
function refuseReplica(where: string, { options, sequelize }: InternalTransaction): void {
  if (options?.readOnly !== true || !sequelize?.options?.replication) return
  const remedy = 'begin it without that option, or pass { transaction: null }'
  throw new OrderTimersError('INVALID_OPTION', `${where}: "transaction" was begun with readOnly: true, so it runs on a replica; ${remedy}`)
}

/** The error of a statement in the shop's transaction, or a clearer one if the transaction has failed: repeating the call does not help. */
export function ofShopsTransaction(error: unknown): unknown {
  const remedy = 'let it roll back, and repeat it as a whole'
  if (sqlStateOf(error) === IN_FAILED_TRANSACTION) {
    const why = 'an earlier statement of this transaction failed, so Postgres refuses each later one'
    const savepoint = 'a statement that may fail needs a savepoint: sequelize.transaction({ transaction }, …)'
    return new OrderTimersError('TRANSACTION_FINISHED', `orderTimers: ${why}, and nothing was written; ${remedy}; ${savepoint}`)
  }
  if (error instanceof OrderTimersError || faultOwnerOf(error) !== 'database') return error
  const what = `Postgres did not carry out the statement (${errorText(error)}), and with it your transaction has failed`
  return new OrderTimersError('POSTGRES_UNAVAILABLE', `orderTimers: ${what}; ${remedy}`, { cause: error })
}

/** By its methods, since the shop may have another copy of Sequelize, for which `instanceof` fails. */
function isTransaction(value: unknown): value is InternalTransaction {
  if (value === null || typeof value !== 'object' || types.isProxy(value)) return false
  try {
    const { commit, rollback } = value as { commit?: unknown; rollback?: unknown }
    return typeof commit === 'function' && typeof rollback === 'function'
  } catch {
    return false // a getter threw
  }
}
