// Ends a run, and with it the hold of its kind: in one transaction with the record of the act. Workers are then asked to sweep.

import type { Transaction } from 'sequelize'
import { OrderTimersError } from '../../errors.js'
import type { ActionsTable } from '../../rows/actions-table.js'
import type { RowRule } from '../../rows/row-rule.js'
import { RUN_OWNER, type Run, type RunAction, type RunsTable } from '../../rows/runs-table.js'
import { inTransaction } from '../../sequelize/database.js'
import { ONE_STATEMENT } from '../../sequelize/statement-limits.js'
import { askForSweep } from '../release.js'
import type { Runtime } from '../runtime.js'

/** @returns the run as it ended; undefined if another process had ended it */
export async function endRun(
  runtime: Runtime,
  { kind, row }: { readonly kind: string; readonly row: RowRule },
  { id, action, actor, record }: Run,
  state: 'done' | 'abandoned',
  { runs, actions }: { runs: RunsTable; actions: ActionsTable },
): Promise<Run | undefined> {
  let ended: Run | undefined
  const end = async (transaction: Transaction): Promise<void> => {
    ended = await runs.end(id, state, transaction)
    if (!ended) throw new EndedBefore()
    if (record === null) return
    const entry = { action, kind, actor, via: 'call', reason: undefined, count: ended.moved, orders: [], ends: record }
    const failed = { state: 'failed', error: `abandoned after ${ended.moved} of ${ended.planned} orders` } as const
    await actions.record({ ...entry, ...(state === 'done' ? { state } : failed) }, transaction)
  }
  try {
    await row.holds.beginRelease('none', { owner: RUN_OWNER }, end).catch((error) => {
      if (!isNotHeld(error)) throw error
      return inTransaction(runs.sequelize, ONE_STATEMENT, end) // another process has ended both, or somebody removed the hold
    })
  } catch (error) {
    if (error instanceof EndedBefore) return undefined
    throw error
  }
  await askForSweep(runtime, true)
  return ended
}

/**
 * Releases the hold of a run that is recorded nowhere: its table was made anew, or came from a backup.
 * @returns what the run did; undefined where no such hold stands
 */
export async function releaseLostRun(runtime: Runtime, kind: string, { holds }: RowRule, runs: RunsTable): Promise<RunAction | undefined> {
  const lost = (await holds.standing()).find(({ owner }) => owner === RUN_OWNER)
  if (!lost) return undefined
  try {
    await holds.beginRelease('none', { owner: RUN_OWNER, id: lost.id }, async (transaction) => {
      if (await runs.hasUnfinished(kind, transaction)) throw new EndedBefore()
    })
  } catch (error) {
    if (error instanceof EndedBefore || isNotHeld(error)) return undefined
    throw error
  }
  await askForSweep(runtime, true)
  return lost.reason.split(':')[0] as RunAction
}

/** Rolls the release back: the hold that stands is that of the kind's next run. */
class EndedBefore extends Error {}

function isNotHeld(error: unknown): boolean {
  return error instanceof OrderTimersError && error.code === 'ERR_ORDER_TIMERS_NOT_HELD'
}
