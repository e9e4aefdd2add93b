// Statements of our own on the shop's database: short READ COMMITTED transactions with timeouts by SET LOCAL (safe behind
// PgBouncer), and binding only.

import type { BindOrReplacements, Sequelize, Transaction } from 'sequelize'
import { afterRunning } from '../wait.js'
import { classOf, connectionManagerOf, type InternalTransaction, type PgClient } from './internals.js'
import { readOwnTypes } from './parsers.js'
import { hasSearchPath, OWN_OPTIONS, ownOptions, ownSearchPath } from './query-options.js'
import { ONE_STATEMENT, type StatementLimits } from './statement-limits.js'

/**
 * Runs `work` in one READ COMMITTED transaction of our own. No step of it waits for ever: a connection that stays silent for longer than a
 * statement may take is cut, so that the pool drops it (a cable pulled, a host gone: TCP would notice in minutes, or never). Once `stopping`
 * is aborted it has a second left.
 */
export function inTransaction<T>(
  sequelize: Sequelize,
  limits: StatementLimits,
  work: (transaction: Transaction) => Promise<T>,
  stopping?: AbortSignal,
): Promise<T> {
  const searchPath = ownSearchPath(sequelize)
  const begin = [
    'START TRANSACTION ISOLATION LEVEL READ COMMITTED',
    `SET LOCAL lock_timeout = ${limits.lockMs}`,
    `SET LOCAL statement_timeout = ${limits.statementMs}`,
    `SET LOCAL idle_in_transaction_session_timeout = ${limits.idleMs}`,
    ...(searchPath ? [searchPath] : []),
  ].join('; ')
  // By hand what `sequelize.transaction(work)` does, because the connection must be in reach while BEGIN is under way.
  const { Transaction: OwnTransaction } = classOf(sequelize)
  const transact = async (): Promise<T> => {
    const transaction = new OwnTransaction(sequelize, { ...OWN_OPTIONS, isolationLevel: null })
    transaction.begin = () => sequelize.query(begin, ownOptions(transaction, { logging: false })) // all of it in one round trip
    patience.set(transaction, { limitMs: limits.statementMs + GRACE_MS, stopping, explains: limits.explains === true })
    await answered(transaction, transaction.prepareEnvironment(), BEGIN_MS)
    try {
      const result = await work(transaction)
      await answered(transaction, transaction.commit())
      return result
    } catch (error) {
      if (!transaction.finished) await answered(transaction, transaction.rollback()).catch(() => {})
      throw error
    }
  }
  return classOf(sequelize)._clsRun(transact)
}

/** One bound statement, on the primary; its rows. */
export function rows<Row>(
  sequelize: Sequelize,
  sql: string,
  bind: readonly unknown[] | undefined,
  transaction: Transaction | null | undefined,
): Promise<Row[]> {
  return query<Row>(sequelize, sql, bind, transaction, false)
}

/** The same of rows that become instances: their columns are as the shop's own parsers read them, those of ours begin with `order_timers_`. */
export function orderRows<Row>(
  sequelize: Sequelize,
  sql: string,
  bind: readonly unknown[] | undefined,
  transaction: Transaction | null | undefined,
): Promise<Row[]> {
  return query<Row>(sequelize, sql, bind, transaction, true)
}

async function query<Row>(
  sequelize: Sequelize,
  sql: string,
  bind: readonly unknown[] | undefined,
  transaction: Transaction | null | undefined,
  areOrders: boolean,
): Promise<Row[]> {
  const own = transaction ? patience.get(transaction) : undefined
  const isSet = own !== undefined || (transaction && hasSearchPath(transaction))
  const searchPath = isSet ? undefined : ownSearchPath(sequelize)
  if (searchPath && !transaction)
    return inTransaction(sequelize, ONE_STATEMENT, (opened) => query<Row>(sequelize, sql, bind, opened, areOrders))
  if (searchPath) await sequelize.query(searchPath, ownOptions(transaction as Transaction))
  const options = ownOptions(transaction ?? null, bind && { bind: bind as BindOrReplacements })
  const [found, result] = await answered(transaction, sequelize.query(own?.explains ? `EXPLAIN ${sql}` : sql, options))
  if (own?.explains) return []
  readOwnTypes(sequelize, found, result, areOrders)
  return found as Row[]
}

/** One bound statement in a transaction of its own: so it waits for no lock and no silent connection for long. Its rows. */
export function statement<Row>(sequelize: Sequelize, sql: string, bind: readonly unknown[] | undefined): Promise<Row[]> {
  return inTransaction(sequelize, ONE_STATEMENT, (transaction) => rows<Row>(sequelize, sql, bind, transaction))
}

/** How long the first steps may stay without an answer: they wait for nobody, so that a dead connection of the pool shows early. */
const BEGIN_MS = 4_000

/** How much longer than the server's own limit we wait for its answer. */
const GRACE_MS = 1_000

/** Of our own transactions: how long each step may stay without an answer. */
const patience = new WeakMap<Transaction, { limitMs: number; stopping: AbortSignal | undefined; explains: boolean }>()

/** The connection that a transaction of our own is on, to tell it from others by. */
export function connectionOf(transaction: Transaction): object | undefined {
  return (transaction as InternalTransaction).connection
}

/** Cuts the connection of a transaction of our own that does not answer; the pending statement is rejected by that. */
async function answered<T>(transaction: Transaction | null | undefined, step: Promise<T>, limitMs?: number): Promise<T> {
  const own = transaction ? patience.get(transaction) : undefined
  if (own === undefined) return step
  const cutIn = (milliseconds: number) =>
    afterRunning(milliseconds, () => (transaction as InternalTransaction).connection?.connection?.stream?.destroy())
  const limits = [cutIn(limitMs ?? own.limitMs)]
  const hurry = () => void limits.push(cutIn(GRACE_MS))
  if (own.stopping?.aborted) hurry()
  own.stopping?.addEventListener('abort', hurry)
  try {
    return await step
  } finally {
    own.stopping?.removeEventListener('abort', hurry)
    for (const cancel of limits) cancel()
  }
}

/**
 * Sequelize 6 listens for a new connection's errors only after the connection is ready, one turn of the event loop too late: an end that
 * comes with the server's first words (a restart, a process that was frozen) would be an `error` event without a listener, and end the
 * process. So each connection of this instance has a listener from its beginning; what it says shows in the statement that then fails.
 */
export function surviveLostConnections(sequelize: Sequelize): void {
  const connectionManager = connectionManagerOf(sequelize)
  const { lib } = connectionManager
  if (typeof lib?.Client !== 'function' || listening.has(lib)) return
  class ListeningClient extends lib.Client {
    constructor(...options: unknown[]) {
      super(...options)
      this.on('error', () => {})
    }
  }
  connectionManager.lib = Object.create(lib, { Client: { value: ListeningClient } }) as { Client: PgClient }
  listening.add(connectionManager.lib)
}

/** The pg, or native pg, of each Sequelize whose connections have a listener. */
const listening = new WeakSet<object>()
