// Writes the deadlines and pauses of `backfill` and `pause.while`, batch by batch, so that no transaction is long.

import { errorText } from '../../error-text.js'
import type { Log } from '../../logger.js'
import type { MaintenanceCounts } from '../../rows/maintenance.js'
import type { SweptRule } from '../../rules/rule.js'
import { faultOwnerOf } from '../../sequelize/fault-owner.js'
import type { Transact } from './transact.js'

const BATCH = 1_000

/** The shop's own `after` failed on an order, or a trigger or a constraint of its table refused the row. */
export class NoDeadline extends Error {}

export interface RowMaintenanceDependencies {
  transact: Transact
  log: Log
  stopping: AbortSignal
}

/** Never rejects. @returns what went wrong, so that the rest of the sweep continues */
export async function maintainRows({ kind, row }: SweptRule, { transact, log, stopping }: RowMaintenanceDependencies): Promise<unknown> {
  const { maintenance } = row
  if (!maintenance) return undefined
  let counts: MaintenanceCounts
  try {
    do {
      const run = () => transact(row, (transaction) => maintenance.runBatch(transaction, BATCH))
      counts = await run().catch((error) => {
        if (faultOwnerOf(error) !== 'rule' || !maintenance.tellRowsApart()) throw error
        return run()
      })
      const { backfilled, paused, resumed } = counts
      if (backfilled + paused + resumed > 0)
        log('info', `${kind}: ${backfilled} backfilled, ${paused} paused, ${resumed} resumed`, { kind, ...counts })
    } while ((maintenance.hasMore || Math.max(...Object.values(counts)) >= BATCH) && !stopping.aborted)
  } catch (error) {
    maintenance.takeFailure()
    return error
  }
  const failure = maintenance.takeFailure()
  return failure && new NoDeadline(`${row.guard.table.model.name} ${failure.id} ${failure.what}: ${errorText(failure.error)}`)
}
