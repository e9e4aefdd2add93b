// `order-timers sweep --stale` without `--yes`: shows what it would settle, by rule, with the oldest orders. Reads only.

import { OrderTimersError } from '../errors.js'
import type { Runtime } from '../timers/runtime.js'
import type { Sample } from './order-counts.js'
import { planRule } from './plan.js'

export interface StalePlan {
  kind: string
  /** Overdue by more than `staleAfter`; undefined if that could not be counted. */
  stale: number | undefined
  /** Overdue by less; the same sweep settles them too. */
  overdue: number | undefined
  /** The deadline of the oldest stale order. */
  oldest: Date | null
  /** The oldest stale orders. */
  samples: Sample[]
  notes: string[]
  problem: string | undefined
  unreachable: boolean
}

/** @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION if the timers are switched off */
export async function stalePlan(runtime: Runtime, kind: string | undefined): Promise<StalePlan[]> {
  if (!runtime.enabled) {
    const remedy = 'then nothing is settled; switch them on'
    throw new OrderTimersError(
      'INVALID_OPTION',
      `orderTimers: the timers are switched off (ORDER_TIMERS=off or enabled: false), and ${remedy}`,
    )
  }
  if (kind !== undefined && !runtime.kinds.includes(kind)) runtime.rule(kind)
  const plans: StalePlan[] = []
  for (const each of kind === undefined ? runtime.kinds : [kind]) {
    // This sweep does not backfill, so orders without a deadline are not counted under the one that `backfill` would give them.
    const { census, notes, problem, unreachable } = await planRule(runtime, each, { days: 1, asBackfilled: false })
    const samples = census?.samples.stale ?? []
    const about = { kind: each, notes, problem, unreachable, samples, oldest: samples[0]?.deadline ?? null }
    plans.push({ ...about, stale: census?.stale, overdue: census?.overdue })
  }
  return plans
}
