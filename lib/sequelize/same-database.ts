// Whether two Sequelize instances write to one database: a shop may have one for each tenant, or a second one for the same.

import type { Sequelize } from 'sequelize'
import { optionsOf, placeOf } from './internals.js'

/**
 * By address, database, user and search path, which by default begins with the user's own schema. A hook on new connections may set another one, so an
 * instance with such a hook never counts as the same.
 */
export function isSameDatabase(a: Sequelize | undefined, b: Sequelize | undefined): boolean {
  if (a === b) return true
  return a !== undefined && b !== undefined && !isHooked(a) && !isHooked(b) && nameOf(a) === nameOf(b)
}

function isHooked(sequelize: Sequelize): boolean {
  return sequelize.hasHook('beforeConnect') || sequelize.hasHook('afterConnect')
}

function nameOf(sequelize: Sequelize): string {
  const { searchPath, query, dialectOptions } = optionsOf(sequelize)
  const { host, port, database, username, dialectOptions: own = dialectOptions } = placeOf(sequelize)
  return [host, port, database, username, query?.searchPath ?? searchPath, own?.options].join('\n')
}
