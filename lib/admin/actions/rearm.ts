// `order-timers rearm`: arms timers that are on the rows but missing in Redis, or later there. It settles nothing, and leaves what is overdue to the sweep.

import type { Keyset } from '../../rows/pending-rows.js'
import { isSwept, type SweptRule } from '../../rules/rule.js'
import { inTransaction } from '../../sequelize/database.js'
import { codedErrors } from '../../timers/coded-errors.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import { boundRule } from '../problem.js'
import { requireEnabled } from './act.js'
import { recorded, tableFor } from './record.js'
import { connectedRedis } from './redis-act.js'
import { type Actor, invalid, requireActor } from './request.js'

/** How many rows are read at once, and how many are armed in one call of Redis. */
const PAGE = 20_000
const BATCH = 1_000

const LIMITS = { lockMs: 300, statementMs: 60_000, idleMs: 10_000 }

export interface RearmOptions {
  /** One rule; default: all whose deadlines are on the rows. */
  kind?: string | undefined
  /** Only what comes due within this many milliseconds; default: all. */
  withinMs?: number | undefined
  onProgress?: (progress: RearmedRule) => void
}

export interface RearmedRule {
  /** A rule, or a reminder of one. */
  kind: string
  /** How many future orders were read. */
  read: number
  /** How many of them were missing in Redis, or later there. */
  armed: number
}

export interface Rearmed {
  rules: RearmedRule[]
}

/** Longer than any real deadline. */
const EVER_MS = 200 * 365 * 86_400_000

/**
 * Orders that failed, and dead letters, are left as they are. Safe to repeat.
 * @param actor who does it, for the record, an entry for each rule; without one it is not recorded
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_ACTION if the rule's deadlines are only in Redis, INVALID_OPTION if the timers are switched off,
 * INVALID_MODEL, NOT_RECORDED, POSTGRES_UNAVAILABLE, REDIS_UNAVAILABLE, REDIS_REFUSES; what was armed until then is armed
 */
export function rearmAct(runtime: Runtime, { kind, withinMs = EVER_MS, onProgress }: RearmOptions, actor?: Actor): Promise<Rearmed> {
  return codedErrors(runtime.redis?.source.describe() ?? '', async () => {
    if (actor) requireActor(actor)
    requireEnabled(runtime)
    const swept = (kind === undefined ? runtime.kinds : [runtime.rule(kind).kind]).flatMap((one) => sweptUnder(runtime, one))
    if (kind !== undefined && swept.length === 0)
      throw invalid(`${kind}: its deadlines are only in Redis, so the rows do not show what is missing there`)
    const rearmed: Rearmed = { rules: [] }
    for (const rule of swept) {
      const redis = await connectedRedis(runtime, rule.kind)
      const found: RearmedRule = { kind: rule.kind, read: 0, armed: 0 }
      rearmed.rules.push(found)
      const work = async () => {
        await armPages(redis, rule, withinMs, found, onProgress)
        return { count: found.armed, orders: [] }
      }
      if (actor) await recorded(tableFor(runtime, rule), { action: 'rearm', kind: rule.kind, actor, ids: [] }, work)
      else await work()
    }
    runtime.meters.actions.add('rearm')
    return rearmed
  })
}

/** The rule and its reminders, where their deadlines are on the rows. */
function sweptUnder(runtime: Runtime, kind: string): SweptRule[] {
  const { rule } = boundRule(runtime, kind)
  return rule ? [rule, ...rule.reminders].filter(isSwept) : []
}

async function armPages(
  { index }: RuntimeRedis,
  { kind, row }: SweptRule,
  horizonMs: number,
  found: RearmedRule,
  onProgress: RearmOptions['onProgress'],
): Promise<void> {
  const { sequelize } = row.guard.table
  let after: Keyset | undefined
  do {
    const query = { horizonMs, after, limit: PAGE }
    const page = await inTransaction(sequelize, LIMITS, (transaction) => row.deadline.pending.upcoming(transaction, query))
    for (let first = 0; first < page.ids.length; first += BATCH) {
      const ids = page.ids.slice(first, first + BATCH)
      found.armed += await index.armMissing(kind, ids, page.deadlines.slice(first, first + BATCH))
      found.read += ids.length
      onProgress?.(found)
    }
    after = page.next
  } while (after)
}
