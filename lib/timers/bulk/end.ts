// Ends a run, and with it the hold of its kind: in one transaction with the record of the act. Workers are then asked to sweep.

import type { ActionsTable } from '../../rows/actions-table.js'
import type { Run, RunsTable } from '../../rows/runs-table.js'
import { inTransaction } from '../../sequelize/database.js'
import { ONE_STATEMENT } from '../../sequelize/statement-limits.js'
import { askForSweep } from '../release.js'
import type { Runtime } from '../runtime.js'
import type { BulkRule } from './request.js'

/** @returns the run as it ended; undefined where another process had ended it */
export async function endRun(
  runtime: Runtime,
  { kind }: BulkRule,
  { id, action, actor, record }: Run,
  state: 'done' | 'abandoned',
  { runs, actions }: { runs: RunsTable; actions: ActionsTable },
): Promise<Run | undefined> {
  const ended = await inTransaction(runs.sequelize, ONE_STATEMENT, async (transaction) => {
    const run = await runs.end(id, state, transaction)
    if (!run) return undefined
    const entry = { action, kind, actor, via: 'call', reason: undefined, count: run.moved, orders: [] }
    const outcome =
      state === 'done'
        ? ({ state } as const)
        : ({ state: 'failed', error: `abandoned after ${run.moved} of ${run.planned} orders` } as const)
    if (record !== null) await actions.record({ ...entry, ends: record, ...outcome }, transaction)
    return run
  })
  if (ended) await askForSweep(runtime, true)
  return ended
}
