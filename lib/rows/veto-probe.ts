// Tells a settlement that a trigger refuses (BEFORE UPDATE returns NULL) from a row that somebody has locked: both are due, and neither is updated.
// The rows that can be locked are updated once more under a savepoint that is rolled back, so that nothing comes of it.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import type { RowGuard } from './guard.js'

export class VetoProbe {
  private readonly lockable: string

  constructor(private readonly guard: RowGuard) {
    const { table, settles } = guard
    this.lockable = `SELECT ${table.id}::text AS id FROM ${table.aliased} WHERE ${table.id} = ANY($1) AND ${settles}
FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`
  }

  /** Has Postgres plan it, on an explaining transaction. */
  async plan(id: string, transaction: Transaction): Promise<void> {
    await rows(this.guard.table.sequelize, this.lockable, [[id]], transaction)
  }

  /**
   * @param ids orders that are due and were not settled
   * @param take settles orders, and returns the ids of those that it settled
   * @returns one that nobody has locked and that is not settled all the same
   */
  async find(ids: readonly string[], take: (ids: string[]) => Promise<string[]>, transaction: Transaction): Promise<string | undefined> {
    const { sequelize } = this.guard.table
    const free = await rows<{ id: string }>(sequelize, this.lockable, [ids], transaction)
    if (free.length === 0) return undefined
    await rows(sequelize, 'SAVEPOINT order_timers_veto', [], transaction)
    const taken = new Set(await take(free.map(({ id }) => id)))
    await rows(sequelize, 'ROLLBACK TO SAVEPOINT order_timers_veto', [], transaction)
    return free.find(({ id }) => !taken.has(id))?.id
  }
}
