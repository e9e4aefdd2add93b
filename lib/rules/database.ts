// Statements of our own on the shop's database: short READ COMMITTED transactions with timeouts by SET LOCAL (safe behind
// PgBouncer), binding only, and Postgres's failures told apart from the rule's own.

import type { BindOrReplacements, Sequelize, Transaction } from 'sequelize'

export interface StatementLimits {
  /** How long to wait for a row's or table's lock. */
  lockMs: number
  /** How long one statement may take. */
  statementMs: number
  /** How long the transaction may sit idle, so that a worker host that vanished does not keep its locks until TCP notices. */
  idleMs: number
}

/** Runs `work` in one READ COMMITTED transaction of our own, apart from any CLS transaction of the caller's. */
export function inTransaction<T>(
  sequelize: Sequelize,
  limits: StatementLimits,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  const settings = [
    'SET TRANSACTION ISOLATION LEVEL READ COMMITTED',
    `SET LOCAL lock_timeout = ${limits.lockMs}`,
    `SET LOCAL statement_timeout = ${limits.statementMs}`,
    `SET LOCAL idle_in_transaction_session_timeout = ${limits.idleMs}`,
  ].join('; ')
  const isolationLevel = null as never // set with the rest, in one round trip
  return sequelize.transaction({ isolationLevel }, async (transaction) => {
    await sequelize.query(settings, { transaction, raw: true, logging: false })
    return work(transaction)
  })
}

/** One bound statement; its rows. */
export async function rows<Row>(
  sequelize: Sequelize,
  sql: string,
  bind: readonly unknown[],
  transaction: Transaction | null | undefined,
): Promise<Row[]> {
  const [result] = await sequelize.query(sql, { bind: bind as BindOrReplacements, transaction: transaction as Transaction, raw: true })
  return result as Row[]
}

/**
 * Whether a failure is the database's or the network's and not the rule's: such a one is retried for ever and never counted as an
 * attempt. SQLSTATE classes by https://www.postgresql.org/docs/current/errcodes-appendix.html. A connection that breaks in
 * mid-statement comes as an error without any SQLSTATE.
 */
export function isDatabaseTrouble(error: unknown): boolean {
  const { name = '', message = '' } = (error ?? {}) as { name?: string; message?: string }
  if (/^Sequelize(?:Connection|HostNot|AccessDenied)/.test(name)) return true
  if (!/^Sequelize/.test(name)) return false
  const state = sqlStateOf(error)
  if (state === undefined || !/^[0-9A-Z]{5}$/.test(state)) return BROKEN_CONNECTION.test(message)
  return TROUBLE_CLASSES.test(state) || TROUBLE_STATES.has(state)
}

/** The SQLSTATE (or the system's error code) of a failed statement. */
export function sqlStateOf(error: unknown): string | undefined {
  const wrapped = error as { parent?: { code?: unknown }; original?: { code?: unknown } } | null | undefined
  const code = wrapped?.parent?.code ?? wrapped?.original?.code
  return typeof code === 'string' ? code : undefined
}

/** Connection, wrong transaction state (read only), rollback (deadlock, serialization), resources, operator, system, internal. */
const TROUBLE_CLASSES = /^(?:08|25|40|53|57|58|XX)/

/** A lock that was not to be had; a table or a column that is not there (yet). */
const TROUBLE_STATES = new Set(['55P03', '42P01', '42703'])

const BROKEN_CONNECTION = /connection|ECONN|EPIPE|ETIMEDOUT|timeout|socket/i
