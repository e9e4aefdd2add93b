// The shop's own pool had no free connection in time. Postgres may answer; "pool.max" is too small, or something keeps connections. It counts
// as a database failure: it is retried forever, and no attempt is counted.

import type { Sequelize } from 'sequelize'
import { connectionManagerOf } from './internals.js'

const IN_RUN = 'a "run" whose statements lack { transaction } waits for a second connection'

export const POOL_REMEDY = `raise "pool.max" of Sequelize, or find what keeps its connections (${IN_RUN})`

/** Whether Sequelize gave up waiting for a pool connection. It throws the same error if Postgres accepts no connections. */
export function isPoolExhausted(error: unknown): boolean {
  return (error as { name?: unknown } | null | undefined)?.name === 'SequelizeConnectionAcquireTimeoutError'
}

interface Pool {
  using: number
  maxSize: number
}

/** A text if all connections of the pool are in use; undefined if one is free, or if the pool does not show it. */
export function fullPool(sequelize: Sequelize): string | undefined {
  const { pool } = connectionManagerOf(sequelize)
  const { using, maxSize } = (pool?.write ?? pool ?? {}) as Partial<Pool>
  if (using === undefined || maxSize === undefined || using < maxSize) return undefined
  return `all ${maxSize} connections of Sequelize's pool ("pool.max") are in use`
}
