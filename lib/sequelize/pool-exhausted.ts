// The shop's own pool had no free connection in time. Postgres may well answer; what is short is "pool.max", or something keeps connections. The
// database is in trouble all the same: it is retried for ever, and no attempt is counted.

import type { Sequelize } from 'sequelize'
import { connectionManagerOf } from './internals.js'

const IN_RUN = 'a "run" whose statements lack { transaction } waits for a second connection'

export const POOL_REMEDY = `raise "pool.max" of Sequelize, or find what keeps its connections (${IN_RUN})`

/** Whether Sequelize gave up waiting for a connection of its pool. It does so too where Postgres lets nobody connect, and says nothing else then. */
export function isPoolExhausted(error: unknown): boolean {
  return (error as { name?: unknown } | null | undefined)?.name === 'SequelizeConnectionAcquireTimeoutError'
}

interface Pool {
  using: number
  maxSize: number
}

/** Says that all connections of the pool are in use; undefined where one is free, or where the pool does not say. */
export function fullPool(sequelize: Sequelize): string | undefined {
  const { pool } = connectionManagerOf(sequelize)
  const { using, maxSize } = (pool?.write ?? pool ?? {}) as Partial<Pool>
  if (using === undefined || maxSize === undefined || using < maxSize) return undefined
  return `all ${maxSize} connections of Sequelize's pool ("pool.max") are in use`
}
