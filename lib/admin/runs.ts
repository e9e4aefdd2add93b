// Bulk runs that have not ended, of all rules or of one.

import { type Run, RunsTable } from '../rows/runs-table.js'
import type { Runtime } from '../timers/runtime.js'
import { boundRule } from './problem.js'

/** @throws OrderTimersError UNKNOWN_KIND; what Postgres throws. None if the table is missing. */
export async function unfinishedRuns(runtime: Runtime, kind?: string): Promise<Run[]> {
  const kinds = kind === undefined ? runtime.kinds : [runtime.rule(kind).kind]
  const found = await Promise.all(
    kinds.map(async (one) => {
      const { row } = boundRule(runtime, one).rule ?? {}
      return row ? new RunsTable(row.guard.table, runtime.keys.prefix).unfinishedIfAny(one) : []
    }),
  )
  return found.flat()
}
