// An abandoned run: its process was killed or stopped, and its kind stays held. Workers and `status` report it.

import type { Hold, Holds } from '../../rows/holds.js'
import type { RowRule } from '../../rows/row-rule.js'
import { RUN_OWNER, RunsTable } from '../../rows/runs-table.js'
import { withoutBinding } from '../../sequelize/sql.js'

/** A living process reports every 5 s, except during a long portion, which has 20 s. */
const SILENT_MS = 30_000

export interface LeftRun {
  message: string
  remedy: string
}

/**
 * @param standing the kind's holds
 * @returns undefined where there is none; the message does not name the kind
 * @throws what Postgres throws
 */
export async function leftRun(
  { guard, options, holds }: Pick<RowRule, 'guard' | 'options' | 'holds'>,
  prefix: string,
  standing: readonly Hold[],
): Promise<LeftRun | undefined> {
  const { kind } = options
  const runs = new RunsTable(guard.table, prefix)
  const [run] = await runs.unfinishedIfAny(kind)
  if (!run) return (await isLost(holds, standing)) ? lostRun(kind, withoutBinding(runs.name)) : undefined
  if (run.silentMs < SILENT_MS) return undefined
  const { id, action, moved, planned, process, silentMs } = run
  return {
    message: `run ${id} (${action}, ${moved} of ${planned} orders) has been left for ${Math.round(silentMs / 1_000)} s, and holds the rule; its process was ${process}`,
    remedy: `order-timers runs ${kind} --resume goes on, and --abandon ends it where it is`,
  }
}

/** A run and its hold begin and end in one transaction each, so a hold that stood before and after the look had no run meanwhile. */
async function isLost(holds: Holds, standing: readonly Hold[]): Promise<boolean> {
  const before = standing.find(({ owner }) => owner === RUN_OWNER)
  return before !== undefined && (await holds.standing()).some(({ id }) => id === before.id)
}

function lostRun(kind: string, table: string): LeftRun {
  return {
    message: `a run holds the rule, and this user finds nothing of it in ${table}, so nobody can go on with it`,
    remedy: `order-timers runs ${kind} --abandon releases the rule`,
  }
}
