// Writes rows of which Postgres refuses some, by a trigger or a CHECK: they are halved until the refused one stands alone, and that one is left out.

import type { Sequelize, Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { faultOwnerOf } from '../sequelize/fault-owner.js'

/** If more are refused, it is no matter of single rows. */
const MOST_REFUSED = 20

const SAVE = 'SAVEPOINT order_timers_apart'
const RELEASE = 'RELEASE SAVEPOINT order_timers_apart'

export class RowsApart {
  readonly refused: string[] = []
  /** Why the first was refused. */
  error: unknown

  constructor(private readonly sequelize: Sequelize) {}

  /**
   * @param write answers how many rows it wrote
   * @returns how many of these were written
   * @throws what is not a single row's fault
   */
  async write(ids: readonly string[], write: (ids: readonly string[]) => Promise<number>, transaction: Transaction): Promise<number> {
    if (ids.length === 0) return 0
    await rows(this.sequelize, SAVE, [], transaction)
    try {
      const written = await write(ids)
      await rows(this.sequelize, RELEASE, [], transaction)
      return written
    } catch (error) {
      if (faultOwnerOf(error) !== 'rule' || this.refused.length >= MOST_REFUSED) throw error
      await rows(this.sequelize, `ROLLBACK TO ${SAVE}; ${RELEASE}`, [], transaction)
      if (ids.length === 1) {
        if (this.refused.push(ids[0] as string) === 1) this.error = error
        return 0
      }
    }
    const middle = Math.ceil(ids.length / 2)
    return (await this.write(ids.slice(0, middle), write, transaction)) + (await this.write(ids.slice(middle), write, transaction))
  }
}
