// How much of the shop's connection pool a backlog may take. After an outage every rule has thousands of orders to settle, and the shop's requests, which
// often share the pool with this worker, must still get a connection. Orders that are on time do not wait here, only for their lane.

import type { Sequelize } from 'sequelize'
import type { BoundRule } from '../../rules/rule.js'
import { poolSize } from '../../sequelize/sql.js'

/** Orders that have been overdue for longer are a backlog. A burst that is settled as it comes due is not. */
export const BACKLOG_MS = 5_000

interface Pool {
  /** How many more batches of a backlog may be settled at once. */
  free: number
  /** First come, first served. */
  waiting: Set<() => void>
}

export class CatchUp {
  private readonly pools = new Map<Sequelize, Pool>()

  /** @param share of a pool, more than 0 and at most 1; one batch at a time is always allowed */
  constructor(private readonly share: number) {}

  /**
   * Waits for one connection of the share.
   * @returns a function that returns it; undefined if the worker stops before there was one
   */
  async enter({ row }: BoundRule, leaving: AbortSignal): Promise<(() => void) | undefined> {
    if (!row) return () => {} // a plain function has no known pool
    const { sequelize, model } = row.guard.table
    const pool = this.pools.get(sequelize) ?? { free: Math.max(1, Math.floor(this.share * poolSize(model))), waiting: new Set() }
    this.pools.set(sequelize, pool)
    while (pool.free === 0 && !leaving.aborted) await turnIn(pool, leaving)
    if (leaving.aborted) return undefined
    pool.free -= 1
    return () => {
      pool.free += 1
      const [next] = pool.waiting
      next?.()
    }
  }
}

function turnIn({ waiting }: Pool, leaving: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const proceed = () => {
      leaving.removeEventListener('abort', proceed)
      waiting.delete(proceed)
      resolve()
    }
    leaving.addEventListener('abort', proceed)
    waiting.add(proceed)
  })
}
