// `order-timers sweep --stale --yes` as a recorded action: it settles what is not settled automatically.

import { errorText } from '../../error-text.js'
import { ActionsTable } from '../../rows/actions-table.js'
import type { Runtime } from '../../timers/runtime.js'
import { boundRule } from '../problem.js'
import { type SweepOptions, type SweepResult, sweepOnce } from '../sweep-once.js'
import { requireEnabled } from './act.js'
import { entryOf, recordAlone } from './record.js'
import { type Actor, requireActor } from './request.js'

type End = (count: number, faults: readonly string[]) => Promise<unknown>

/**
 * One entry for each rule that is swept.
 * @throws OrderTimersError as `sweepOnce`, and NOT_RECORDED, POSTGRES_UNAVAILABLE, and then nothing was swept
 */
export async function staleSweepAct(runtime: Runtime, options: Omit<SweepOptions, 'stale'>, actor: Actor): Promise<SweepResult> {
  requireActor(actor)
  requireEnabled(runtime)
  const kinds = options.kind === undefined ? runtime.kinds : [runtime.rule(options.kind).kind]
  const ends = new Map<string, End>()
  try {
    for (const kind of kinds) {
      const end = await ask(runtime, kind, actor)
      if (end) ends.set(kind, end)
    }
    const result = await sweepOnce(runtime, { ...options, stale: true })
    for (const [kind, end] of ends) {
      const faults = result.faults.filter((fault) => fault.kind === undefined || fault.kind === kind)
      await end(
        result.kinds[kind]?.settled ?? 0,
        faults.map(({ message }) => message),
      )
    }
    return result
  } catch (error) {
    for (const end of ends.values()) await end(0, [errorText(error)])
    throw error
  }
}

/** @returns what records the end; undefined for a rule that no sweep looks at */
async function ask(runtime: Runtime, kind: string, actor: Actor): Promise<End | undefined> {
  const { rule } = boundRule(runtime, kind)
  if (!rule?.row || rule.row.deadline.in === 'redis') return undefined
  const table = new ActionsTable(rule.row.guard.table, runtime.keys.prefix)
  const entry = entryOf('sweep --stale', kind, actor)
  const ends = await recordAlone(table, { ...entry, state: 'asked', count: 0, orders: [] })
  return (count, faults) => {
    const ended = { ...entry, reason: undefined, ends, count, orders: [] }
    const state = faults.length === 0 ? ({ state: 'done' } as const) : ({ state: 'failed', error: faults.join('; ') } as const)
    return recordAlone(table, { ...ended, ...state }).catch(() => {})
  }
}
