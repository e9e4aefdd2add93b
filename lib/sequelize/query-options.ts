// The options of each of our own statements. `new Sequelize(…, { query })` gives defaults to all statements, so each option that changes where
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
  // Only our own values, and no transaction that we did not get.
  bind: undefined,
  replacements: undefined,
  transaction: null,
  completesTransaction: false,
  // With replication, a replica may be behind, and what is read decides what is written.
  useMaster: true,
  // "SET search_path" before a statement with parameters is a syntax error; see `ownSearchPath`. `searchPath` itself is not named: with this,
  // Sequelize deletes it, which slows every later copy of the options down unless it was the last to be added.
  supportsSearchPath: false,
  // No automatic retry: a repeated `extend` would extend twice.
  retry: { max: 1, timeout: undefined, match: undefined, report: undefined },
} as const

/**
 * The options of one statement of ours. They are fewer, and written out, if the shop gives no defaults and does not use `prependSearchPath`: Sequelize copies
 * them three times, property by property, and to spread an object into another takes longer than to write it. What is left out is what Sequelize does
 * anyway: without defaults a statement of type RAW runs on the primary.
 */
export function ownOptions(
  sequelize: Sequelize,
  transaction: Transaction | null,
  { bind, logging }: Pick<QueryOptions, 'bind' | 'logging'> = {},
): QueryOptionsWithType<QueryTypes.RAW> {
  const { query, dialectOptions } = optionsOf(sequelize)
  const { type, raw, retry } = OWN_OPTIONS
  const options =
    hasDefaults(query) || dialectOptions?.prependSearchPath
      ? { ...OWN_OPTIONS, transaction, bind, ...(logging !== undefined && { logging }) }
      : { type, raw, retry, transaction, bind, logging }
  return options as unknown as QueryOptionsWithType<QueryTypes.RAW>
}

function hasDefaults(query: object | undefined): boolean {
  for (const _ in query) return true
  return false
}

/** What `dialectOptions.prependSearchPath` would put before each statement; undefined if the shop does not use it. */
export function ownSearchPath(sequelize: Sequelize): string | undefined {
  const { dialectOptions, query, searchPath: ofAll } = optionsOf(sequelize)
  if (!dialectOptions?.prependSearchPath || query?.supportsSearchPath === false) return undefined
  const searchPath = query?.searchPath === undefined ? ofAll : query.searchPath
  return `SET LOCAL search_path TO ${searchPath || 'DEFAULT'}`
}

/** The property of a statement's transaction object: the search path of its connection is set, so no statement sets it again. */
export const SEARCH_PATH_IS_SET: unique symbol = Symbol('the search path is set')

export function hasSearchPath(transaction: Transaction): boolean {
  return (transaction as { [SEARCH_PATH_IS_SET]?: true })[SEARCH_PATH_IS_SET] === true
}
