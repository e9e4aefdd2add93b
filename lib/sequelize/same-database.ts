// Whether two Sequelize instances write to one database: a shop may have one for each tenant, or a second one for the same.

import type { Sequelize } from 'sequelize'
import { optionsOf, placeOf } from './internals.js'

/** By address, database and search path. */
export function isSameDatabase(a: Sequelize | undefined, b: Sequelize | undefined): boolean {
  if (a === b) return true
  return a !== undefined && b !== undefined && nameOf(a) === nameOf(b)
}

function nameOf(sequelize: Sequelize): string {
  const { searchPath, dialectOptions } = optionsOf(sequelize)
  const { host, port, database, dialectOptions: own = dialectOptions } = placeOf(sequelize)
  return [host, port, database, searchPath, own?.options].join('\n')
}
