// How much of the shop's connection pool a backlog may take. After an outage every rule has thousands of orders to settle, and the shop's requests, which
// often share the pool with this worker, must still get a connection. What is on time is not held up: it has its lane alone.

import type { Sequelize } from 'sequelize'
import type { BoundRule } from '../../rules/rule.js'
import { poolSize } from '../../sequelize/sql.js'

/** Orders that are overdue for longer are a backlog. A burst that is settled as it comes due is none. */
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
   * Waits for a connection's worth of the share.
   * @returns what gives it back; undefined if the worker leaves before there was one
   */
  async enter({ row }: BoundRule, leaving: AbortSignal): Promise<(() => void) | undefined> {
    if (!row) return () => {} // a plain function uses no pool that is known
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
