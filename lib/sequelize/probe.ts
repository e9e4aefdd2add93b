// Whether rules over rows can work with a Sequelize: its dialect, its version, and each of its internals that is used beyond the public API.
// Asked when a rule is bound, so that what is missing is reported in words and is not a TypeError of a settlement.

import type { Sequelize } from 'sequelize'

/** Any model of the shop's. */
interface ProbedModel {
  name: string
  sequelize?: Sequelize
}

interface Internal {
  /** Its name in Sequelize's source. */
  name: string
  /** Its purpose; no public API offers that. */
  why: string
  in: (sequelize: Internals, model: Record<string, unknown>) => unknown
}

type Internals = Record<string, unknown> & {
  constructor: Record<string, unknown> & { Transaction?: { prototype?: object }; Utils?: object }
  getQueryInterface?(): { queryGenerator?: object }
  connectionManager?: object
}

const OLDEST = [6, 21] as const
const NEEDED = 'rules over rows need Sequelize 6.21 or a later 6.x with the dialect postgres'

const inGenerator =
  (name: string): Internal['in'] =>
  (sequelize) =>
    member(sequelize.getQueryInterface?.().queryGenerator, name)
const inManager =
  (name: string): Internal['in'] =>
  ({ connectionManager }) =>
    member(connectionManager, name)
const inTransaction =
  (name: string): Internal['in'] =>
  (sequelize) =>
    member(sequelize.constructor.Transaction?.prototype, name)

/** All functions of Sequelize 6 that are used and not part of its documented API. internals.ts has their types. */
export const INTERNALS: readonly Internal[] = [
  { name: 'queryGenerator.quoteIdentifier', why: 'names in SQL, quoted as the shop has them', in: inGenerator('quoteIdentifier') },
  { name: 'queryGenerator.quoteTable', why: 'tables with their schemas', in: inGenerator('quoteTable') },
  { name: 'queryGenerator.getWhereConditions', why: 'a rule\'s "where" as SQL', in: inGenerator('getWhereConditions') },
  { name: 'queryGenerator.whereQuery', why: 'the "where" of a bulk statement, under "auto"', in: inGenerator('whereQuery') },
  { name: 'queryGenerator.escape', why: 'values by the type of their attribute', in: inGenerator('escape') },
  { name: 'queryGenerator.handleSequelizeMethod', why: 'texts in expressions as they are', in: inGenerator('handleSequelizeMethod') },
  { name: 'queryGenerator.generateReturnValues', why: 'deadlines as written, under "auto"', in: inGenerator('generateReturnValues') },
  {
    name: 'Sequelize.Transaction',
    why: 'a transaction whose connection is in reach before BEGIN is answered',
    in: (sequelize) => sequelize.constructor.Transaction,
  },
  { name: 'Transaction#prepareEnvironment', why: 'the same', in: inTransaction('prepareEnvironment') },
  { name: 'Transaction#begin', why: 'BEGIN and its limits in one round trip', in: inTransaction('begin') },
  {
    name: 'Transaction#commit',
    why: 'arming after the commit, without the hooks that run although it failed',
    in: inTransaction('commit'),
  },
  { name: 'Transaction#rollback', why: 'the end of a transaction that failed', in: inTransaction('rollback') },
  { name: 'Transaction#forceCleanup', why: 'whether COMMIT has failed', in: inTransaction('forceCleanup') },
  {
    name: 'Sequelize._clsRun',
    why: "our transactions apart from those of the shop's CLS namespace",
    in: (sequelize) => sequelize.constructor._clsRun,
  },
  {
    name: 'Sequelize.Utils.SequelizeMethod',
    why: 'whether a value is an expression',
    in: (sequelize) => member(sequelize.constructor.Utils, 'SequelizeMethod'),
  },
  { name: 'connectionManager.getConnection', why: "a connection for one call, within the call's time", in: inManager('getConnection') },
  { name: 'connectionManager.releaseConnection', why: 'the same', in: inManager('releaseConnection') },
  {
    name: 'connectionManager.destroyConnection',
    why: 'a connection on which a statement was cancelled',
    in: inManager('destroyConnection'),
  },
  { name: 'Model._paranoidClause', why: 'what "not deleted" means', in: (_, model) => model._paranoidClause },
]

/** @returns what is wrong with the model's Sequelize, and what to do; undefined if nothing is */
export function unfitSequelize(model: ProbedModel): string | undefined {
  const sequelize = model.sequelize as unknown as Internals
  const { version = 'of an unknown version' } = sequelize.constructor as { version?: string }
  const dialect = dialectOf(sequelize)
  const it = `${model.name} belongs to Sequelize ${version}`
  if (dialect !== 'postgres') {
    const remedy = 'give the rule a model that is kept in Postgres, or write a plain handler, which needs no model'
    return `${it} with the dialect ${dialect}, and ${NEEDED}; ${remedy}`
  }
  if (!isSupported(version)) return `${it}, and ${NEEDED}; npm install sequelize@6`
  const missing = INTERNALS.filter((internal) => !has(internal, sequelize, model as unknown as Record<string, unknown>))
  if (missing.length === 0) return undefined
  const list = missing.map(({ name, why }) => `${name} (${why})`).join(', ')
  return `${it}, which lacks what is used of it: ${list}; install a version of Sequelize 6 that has it, and report the version`
}

function dialectOf(sequelize: Internals): string {
  const { getDialect, dialect, options } = sequelize as {
    getDialect?(): string
    dialect?: { name?: string }
    options?: { dialect?: unknown }
  }
  if (typeof getDialect === 'function') return getDialect.call(sequelize)
  return dialect?.name ?? String(options?.dialect ?? 'unknown')
}

function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major === OLDEST[0] && minor >= OLDEST[1]
}

function has(internal: Internal, sequelize: Internals, model: Record<string, unknown>): boolean {
  try {
    return typeof internal.in(sequelize, model) === 'function'
  } catch {
    return false
  }
}

function member(object: object | undefined, name: string): unknown {
  return (object as Record<string, unknown> | undefined)?.[name]
}
