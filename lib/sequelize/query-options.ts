// The options of every statement of ours. `new Sequelize(…, { query })` gives defaults to all statements, and so each option that changes where
// a statement runs, how often, or what it returns is set here. `logging`, `benchmark` and `logQueryParameters` stay the shop's.

import type { QueryOptions, QueryOptionsWithType, QueryTypes, Sequelize, Transaction } from 'sequelize'
import { optionsOf } from './internals.js'

/** For `sequelize.query`, and for a transaction's own BEGIN, COMMIT and ROLLBACK. */
export const OWN_OPTIONS = {
  // Rows as the driver gives them: `[rows, result]`.
  type: 'RAW',
  raw: true,
  nest: false,
  plain: false,
  mapToModel: false,
  model: undefined,
  instance: undefined,
  fieldMap: undefined,
  // Nothing but our own values, and none of a transaction that we were not given.
  bind: undefined,
  replacements: undefined,
  transaction: null,
  completesTransaction: false,
  // With replication, a replica may be late: what is read decides what is written.
  useMaster: true,
  // "SET search_path" before a statement with parameters is a syntax error; see `ownSearchPath`. `searchPath` itself is not named: with this,
  // Sequelize deletes it, which slows every later copy of the options down unless it was the last to be added.
  supportsSearchPath: false,
  // No automatic retry: a repeated `extend` would extend twice.
  retry: { max: 1, timeout: undefined, match: undefined, report: undefined },
} as const

/** What is left of them where the shop gives no defaults: Sequelize copies the options of each statement three times, name by name. */
const { type, raw, useMaster, supportsSearchPath, retry } = OWN_OPTIONS
const WITHOUT_DEFAULTS = { type, raw, useMaster, supportsSearchPath, retry }

/** The options of one statement of ours. */
export function ownOptions(
  sequelize: Sequelize,
  transaction: Transaction | null,
  more: QueryOptions | undefined,
): QueryOptionsWithType<QueryTypes.RAW> {
  const pinned = hasDefaults(optionsOf(sequelize).query) ? OWN_OPTIONS : WITHOUT_DEFAULTS
  return { ...pinned, ...more, transaction } as unknown as QueryOptionsWithType<QueryTypes.RAW>
}

function hasDefaults(query: object | undefined): boolean {
  for (const _ in query) return true
  return false
}

/** What `dialectOptions.prependSearchPath` would put before each statement; undefined where the shop does not use it. */
export function ownSearchPath(sequelize: Sequelize): string | undefined {
  const { dialectOptions, query, searchPath: ofAll } = optionsOf(sequelize)
  if (!dialectOptions?.prependSearchPath || query?.supportsSearchPath === false) return undefined
  const searchPath = query?.searchPath === undefined ? ofAll : query.searchPath
  return `SET LOCAL search_path TO ${searchPath || 'DEFAULT'}`
}

/** On what a statement is given as its transaction: the search path of its connection is set, so that no statement sets it again. */
export const SEARCH_PATH_IS_SET: unique symbol = Symbol('the search path is set')

export function hasSearchPath(transaction: Transaction): boolean {
  return (transaction as { [SEARCH_PATH_IS_SET]?: true })[SEARCH_PATH_IS_SET] === true
}
