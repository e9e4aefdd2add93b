// The internals of Sequelize 6 that are used, typed in one place. probe.ts lists each function with the reason, and refuses a Sequelize that
// lacks one. Fields that may be missing are optional here.

import type { EventEmitter } from 'node:events'
import type { Model, ModelStatic, Sequelize, Transaction, WhereOptions } from 'sequelize'

/** Renders names, conditions and values; Sequelize's type declarations leave it `unknown`. */
export interface QueryGenerator {
  quoteIdentifier(name: string): string
  quoteTable(table: unknown): string
  getWhereConditions(where: unknown, alias: string, model: unknown): string | undefined
  whereQuery(where: unknown, options: { model: unknown }): string
  escape(value: unknown, attribute?: unknown, options?: { context: 'UPDATE' }): string
  /** Renders an expression, such as `fn(…)`, and those within it. */
  handleSequelizeMethod(expression: object, ...more: unknown[]): string
  /** The operators by the shop's names (`operatorsAliases`). */
  OperatorsAliasMap?: Record<string, symbol> | false
}

export function generatorOf(sequelize: Sequelize): QueryGenerator {
  return sequelize.getQueryInterface().queryGenerator as QueryGenerator
}

/** A connection of the pool: pg's Client. Its socket is cut if Postgres does not answer. */
export interface PoolConnection {
  connection?: { stream?: { destroy(): void }; on?: Listening; off?: Listening }
  processID?: number | null
  secretKey?: number | Buffer | null
  host?: string
  port?: number
}

/** An event of the protocol; `text` is a statement's command tag. */
type Listening = (event: 'commandComplete', listener: (message: { text?: string }) => void) => unknown

export interface ConnectionManager {
  getConnection(options: { type: 'RAW'; useMaster: true }): Promise<PoolConnection>
  releaseConnection(connection: PoolConnection): unknown
  destroyConnection(connection: PoolConnection): Promise<unknown>
  getTypeParser?(oid: number, format: 'text'): (text: string) => unknown
  /** With replication, "write" means the primary. */
  pool?: { write?: object }
  /** The driver. */
  lib?: { Client?: PgClient }
}

export type PgClient = new (...options: unknown[]) => EventEmitter

export function connectionManagerOf(sequelize: Sequelize): ConnectionManager {
  return (sequelize as unknown as { connectionManager: ConnectionManager }).connectionManager
}

/** A transaction with the fields that its public type leaves out. */
export type InternalTransaction = Transaction & {
  /** The parent of a nested transaction. */
  parent?: InternalTransaction | null
  finished?: 'commit' | 'rollback'
  sequelize?: { options?: { replication?: unknown } }
  options?: { readOnly?: unknown }
  connection?: PoolConnection
  /** Sequelize calls it if COMMIT itself has failed. */
  forceCleanup?(): Promise<void>
}

interface SequelizeClass {
  Transaction: new (
    sequelize: Sequelize,
    options: object,
  ) => InternalTransaction & {
    begin(): Promise<unknown>
    /** Takes a connection, and begins on it. */
    prepareEnvironment(): Promise<unknown>
  }
  Utils: { SequelizeMethod: new () => object }
  _clsRun<T>(work: () => T): T
  /** The shop's CLS namespace, if it uses one. */
  _cls?: { get(name: 'transaction'): Transaction | null | undefined }
}

/** The class of the shop's own copy of Sequelize, which may be another than ours. */
export function classOf(sequelize: object): SequelizeClass {
  return sequelize.constructor as unknown as SequelizeClass
}

interface InternalOptions {
  dialectOptions?: { prependSearchPath?: boolean; options?: string }
  replication?: { write?: ServerPlace }
  searchPath?: string
  /** The shop's defaults for all statements. */
  query?: { searchPath?: string; supportsSearchPath?: boolean }
}

/** Where a Sequelize connects to. */
export interface ServerPlace {
  host?: string
  port?: string | number
  database?: string
  username?: string
  dialectOptions?: InternalOptions['dialectOptions']
}

/** Of the server that is written to. With replication, what it does not say is as for all servers. */
export function placeOf(sequelize: Sequelize): ServerPlace {
  const { config } = sequelize as unknown as { config: ServerPlace }
  const write = Object.entries(optionsOf(sequelize).replication?.write ?? {}).filter(([, value]) => value !== undefined)
  return { ...config, ...Object.fromEntries(write) }
}

export function optionsOf(sequelize: Sequelize): InternalOptions {
  return (sequelize as unknown as { options: InternalOptions }).options
}

/** A model with the fields of its scopes. */
export type ScopedModel = ModelStatic<Model> & {
  /** True for a class that `scope(…)` or `unscoped()` made. */
  scoped?: boolean
  _scope?: Record<string, unknown>
  _paranoidClause(model: unknown, options: { paranoid?: boolean }): { where?: WhereOptions }
}
