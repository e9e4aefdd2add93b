// Runs our own statements on the shop's database: with bound parameters, in short READ COMMITTED transactions whose timeouts are set by SET LOCAL
// (which is safe behind PgBouncer).

import type { BindOrReplacements, Sequelize, Transaction } from 'sequelize'
import { afterRunning } from '../wait.js'
import { listenForRollback } from './after-commit.js'
import { classOf, connectionManagerOf, type InternalTransaction, type PgClient } from './internals.js'
import { readOwnTypes } from './parsers.js'
import { hasSearchPath, OWN_OPTIONS, ownOptions, ownSearchPath } from './query-options.js'
import { ONE_STATEMENT, type StatementLimits } from './statement-limits.js'

/**
 * Runs `work` in one READ COMMITTED transaction of our own. No step waits forever: a connection that does not answer for longer than a
 * statement may take is closed, and the pool drops it. (After a pulled cable TCP notices in minutes, or never.) The wait for a connection is
 * limited by the pool's own `acquire` alone.
 * @param options `stopping`: once aborted, each step has one second left; `begin`: statements in the round trip of BEGIN; `onRolledBack`: called if
 * COMMIT rolled back, since a statement had failed
 */
export function inTransaction<T>(
  sequelize: Sequelize,
  limits: StatementLimits,
  work: (transaction: Transaction) => Promise<T>,
  { stopping, begin: question, onRolledBack }: TransactionOptions = {},
): Promise<T> {
  const searchPath = ownSearchPath(sequelize)
  const begin = [
    'START TRANSACTION ISOLATION LEVEL READ COMMITTED',
    `SET LOCAL lock_timeout = ${limits.lockMs}`,
    `SET LOCAL statement_timeout = ${limits.statementMs}`,
    `SET LOCAL idle_in_transaction_session_timeout = ${limits.idleMs}`,
    ...(searchPath ? [searchPath] : []),
    ...(question?.statements ?? []),
  ].join('; ')
  // Does what `sequelize.transaction(work)` does, because the connection must be accessible during BEGIN.
  const { Transaction: OwnTransaction } = classOf(sequelize)
  const transact = async (): Promise<T> => {
    const transaction = new OwnTransaction(sequelize, { ...OWN_OPTIONS, isolationLevel: null })
    const own = { limitMs: limits.statementMs + GRACE_MS, stopping, explains: limits.explains }
    ownTransactions.set(transaction, own)
    let endLimit = () => {}
    // All of it in one round trip. Its limit begins here, where the connection is known, and also covers Sequelize's ROLLBACK after a failure.
    transaction.begin = async () => {
      endLimit = limit(transaction, own, BEGIN_MS)
      const askedAt = performance.now()
      const [found] = await sequelize.query(begin, ownOptions(sequelize, transaction, { logging: false }))
      question?.answer(found as object[], askedAt)
    }
    try {
      await transaction.prepareEnvironment()
    } finally {
      endLimit()
    }
    try {
      const result = await work(transaction)
      const endListening = onRolledBack && listenForRollback(transaction.connection, onRolledBack)
      await answered(transaction, transaction.commit()).finally(endListening)
      return result
    } catch (error) {
      if (!transaction.finished) await answered(transaction, transaction.rollback()).catch(() => {})
      throw error
    }
  }
  return classOf(sequelize)._clsRun(transact)
}

interface TransactionOptions {
  stopping?: AbortSignal | undefined
  begin?: BeginQuestion | undefined
  onRolledBack?: (() => void) | undefined
}

/** Statements without parameters that follow BEGIN in the same round trip, each with its own snapshot. */
export interface BeginQuestion {
  readonly statements: readonly string[]
  /** Called with the rows of all of them, in order, and when BEGIN was sent, by `performance.now()`. */
  answer(rows: readonly object[], askedAt: number): void
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

/** The same for rows that become instances: their columns are as the shop's own parsers read them; ours begin with `order_timers_`. */
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
  const own = transaction ? ownTransactions.get(transaction) : undefined
  const isSet = own !== undefined || (transaction && hasSearchPath(transaction))
  const searchPath = isSet ? undefined : ownSearchPath(sequelize)
  if (searchPath && !transaction)
    return inTransaction(sequelize, ONE_STATEMENT, (opened) => query<Row>(sequelize, sql, bind, opened, areOrders))
  if (searchPath) await sequelize.query(searchPath, ownOptions(sequelize, transaction as Transaction))
  const options = ownOptions(sequelize, transaction ?? null, { bind: bind as BindOrReplacements })
  const text = asRaw(sql)
  const statement = sequelize.query(own?.explains ? `EXPLAIN ${text}` : text, options)
  const [found, result] = await (own ? answered(transaction, statement) : statement)
  if (own?.explains) {
    if (own.explains !== true) own.explains(planOf(found))
    return []
  }
  readOwnTypes(sequelize, found, result, areOrders)
  return found as Row[]
}

/** Sequelize takes what begins with these words for an INSERT of a model, and answers with a count in place of the driver's result, which has the types. */
function asRaw(sql: string): string {
  return sql.startsWith('INSERT INTO') ? `/* */ ${sql}` : sql
}

/** The lines that EXPLAIN returns, each in a row of one column. */
function planOf(found: unknown): string[] {
  return (found as object[]).flatMap((line) => Object.values(line).map(String))
}

/** One bound statement in a separate transaction, so that the wait for locks and for a silent connection is limited; its rows. */
export function statement<Row>(sequelize: Sequelize, sql: string, bind: readonly unknown[] | undefined): Promise<Row[]> {
  return inTransaction(sequelize, ONE_STATEMENT, (transaction) => rows<Row>(sequelize, sql, bind, transaction))
}

/** How long BEGIN may stay unanswered: it waits for no lock, so a dead connection of the pool shows early. */
const BEGIN_MS = 4_000

/** Added to the server's own limit when waiting for its answer. */
const GRACE_MS = 1_000

interface OwnTransaction {
  /** How long each step may stay unanswered. */
  limitMs: number
  stopping: AbortSignal | undefined
  explains: StatementLimits['explains']
}

const ownTransactions = new WeakMap<Transaction, OwnTransaction>()

/** The connection of one of our own transactions, to distinguish connections. */
export function connectionOf(transaction: Transaction): object | undefined {
  return (transaction as InternalTransaction).connection
}

/** A step of one of our own transactions, which its connection must answer in time. */
async function answered<T>(transaction: Transaction | null | undefined, step: Promise<T>): Promise<T> {
  const own = transaction ? ownTransactions.get(transaction) : undefined
  if (own === undefined) return step
  const endLimit = limit(transaction as Transaction, own, own.limitMs)
  try {
    return await step
  } finally {
    endLimit()
  }
}

/** Closes the connection, once it does not answer in time; that rejects the pending statement. @returns a function that ends the limit */
function limit(transaction: InternalTransaction, { stopping }: OwnTransaction, limitMs: number): () => void {
  const cutIn = (milliseconds: number) => afterRunning(milliseconds, () => transaction.connection?.connection?.stream?.destroy())
  const limits = [cutIn(limitMs)]
  const hurry = () => void limits.push(cutIn(GRACE_MS))
  if (stopping?.aborted) hurry()
  stopping?.addEventListener('abort', hurry)
  return () => {
    stopping?.removeEventListener('abort', hurry)
    for (const cancel of limits) cancel()
  }
}

/**
 * Sequelize 6 listens for a new connection's errors one turn of the event loop too late: a connection that breaks during the handshake (the
 * server restarts) would emit `error` without a listener, and end the process. So each connection of this instance gets a listener when it is
 * created. The error itself is reported by the statement that then fails.
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
