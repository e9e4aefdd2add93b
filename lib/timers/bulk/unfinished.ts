// An abandoned run: its process was killed or stopped, and its kind stays held. Workers and `status` report it.

import type { RowRule } from '../../rows/row-rule.js'
import { RunsTable } from '../../rows/runs-table.js'

/** A living process reports every 5 s, except during a long portion, which has 20 s. */
const SILENT_MS = 30_000

export interface LeftRun {
  message: string
  remedy: string
}

/** @returns undefined if there is none; the message does not name the kind @throws what Postgres throws */
export async function leftRun(
  { guard, options, deadline }: Pick<RowRule, 'guard' | 'options' | 'deadline'>,
  prefix: string,
): Promise<LeftRun | undefined> {
  if (deadline.in !== 'column') return undefined
  const { kind } = options
  const [run] = await new RunsTable(guard.table, prefix).unfinishedIfAny(kind)
  if (!run || run.silentMs < SILENT_MS) return undefined
  const { id, action, moved, planned, process, silentMs } = run
  return {
    message: `run ${id} (${action}, ${moved} of ${planned} orders) has been left for ${Math.round(silentMs / 1_000)} s, and holds the rule; its process was ${process}`,
    remedy: `order-timers runs ${kind} --resume goes on, and --abandon ends it where it is`,
  }
}
