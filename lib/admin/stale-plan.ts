// What a sweep with `--stale` would settle, shown before it is asked for: by rule, with the oldest and some samples. Looks only.

import { OrderTimersError } from '../errors.js'
import type { Runtime } from '../timers/runtime.js'
import type { Sample } from './order-counts.js'
import { planRule } from './plan.js'

export interface StalePlan {
  kind: string
  /** Overdue by more than `staleAfter`; undefined where it could not be counted. */
  stale: number | undefined
  /** Overdue, and settled by the same sweep. */
  overdue: number | undefined
  /** The deadline of the oldest that is stale. */
  oldest: Date | null
  /** The oldest of them. */
  samples: Sample[]
  notes: string[]
  problem: string | undefined
  unreachable: boolean
}

/** @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION where the timers are switched off */
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
    // A sweep over what is stale fills no deadline, so nothing is counted as `backfill` would have it.
    const { census, notes, problem, unreachable } = await planRule(runtime, each, { days: 1, asBackfilled: false })
    const samples = census?.samples.stale ?? []
    const about = { kind: each, notes, problem, unreachable, samples, oldest: samples[0]?.deadline ?? null }
    plans.push({ ...about, stale: census?.stale, overdue: census?.overdue })
  }
  return plans
}
