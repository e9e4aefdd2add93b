// What `status` knows: both servers, who is there, and each rule, asked once. Reads only, apart from a write in Redis that leaves nothing behind.

import { setTimeout as delay } from 'node:timers/promises'
import type { ShopRule } from '../rules/rule.js'
import type { Runtime } from '../timers/runtime.js'
import { countOrders } from './order-counts.js'
import { boundRule, postgresTrouble } from './problem.js'
import { latenessOfAll, livingProcesses, type Processes } from './processes.js'
import { type RuleStatus, ruleStatus, unknownRule } from './rule-status.js'
import { clockDifference, type RedisStatus, redisStatus } from './server-status.js'

/** From how many overdue orders on it is a backlog, which is counted twice. */
export const BACKLOG = 200
const BACKLOG_MS = 1_500

export interface Backlog {
  /** How many were overdue when they were counted for the second time. */
  overdue: number
  /** By how many it shrinks; negative where it grows. */
  perSecond: number
  /** When it will be done, if it goes on like this; null where it does not shrink. */
  doneAt: Date | null
  /** Where there are too many to count them all: whether the oldest ones are settled. */
  oldestMoves?: boolean
}

export interface Facts {
  enabled: boolean
  postgres: { answering: boolean; problem: string | undefined }
  redis: RedisStatus
  /** How far Postgres's clock is ahead of Redis's, milliseconds; undefined where that could not be read. */
  clock: { postgresAheadMs: number | undefined }
  /** Who is there, and what is wrong with that. */
  processes: Processes
  rules: RuleStatus[]
  /** More than 200 orders that are overdue and that nothing excuses. */
  backlog: Backlog | undefined
}

export interface FactsOptions {
  /** Where no worker seems to be alive, it is asked again after so many milliseconds: after an outage of Redis a worker has not beaten at once. */
  confirmMs?: number
}

/** Each rule is read by itself. Never rejects: what does not answer, or could not be read, is a `problem` in the answer. */
export async function gatherFacts(runtime: Runtime, { confirmMs = 0 }: FactsOptions = {}): Promise<Facts> {
  const bound = runtime.kinds.map((kind) => ({ kind, ...boundRule(runtime, kind) }))
  const ofShop = bound.flatMap(({ rule }) => (rule ? [rule] : []))
  const [redis, postgresProblem] = await Promise.all([redisStatus(runtime), postgresTrouble(ofShop)])
  const look = () => livingProcesses(runtime, { beatsAreWritten: redis.refuses === undefined })
  let processes = await look()
  if (confirmMs > 0 && processes.findings.some(({ code }) => code === 'NO_WORKER')) {
    await delay(confirmMs)
    processes = await look()
  }
  const answering = { postgresAnswers: postgresProblem === undefined, redis: redis.answering ? runtime.redis : undefined }
  const lateness = answering.redis && (await latenessOfAll(runtime).catch(() => undefined))
  const rules: RuleStatus[] = []
  for (const { kind, rule, problem } of bound) {
    const found = rule ? await ruleStatus(rule, runtime, answering) : unknownRule(runtime, kind, problem.message)
    rules.push({ ...found, lateness: lateness?.get(kind) })
  }
  return {
    enabled: runtime.enabled,
    postgres: { answering: answering.postgresAnswers, problem: postgresProblem },
    redis,
    clock: { postgresAheadMs: answering.redis && answering.postgresAnswers ? await clockDifference(runtime, ofShop) : undefined },
    processes,
    rules,
    backlog: await backlogOf(rules, ofShop),
  }
}

async function backlogOf(rules: readonly RuleStatus[], bound: readonly ShopRule[]): Promise<Backlog | undefined> {
  const overdueOf = (all: readonly RuleStatus[]) =>
    all.reduce((sum, { rows, brakedSince }) => sum + (brakedSince ? 0 : (rows?.overdue ?? 0)), 0)
  const first = overdueOf(rules)
  if (first < BACKLOG) return undefined
  const startedAt = performance.now()
  await delay(BACKLOG_MS)
  let overdue = 0
  for (const { kind, rows, brakedSince } of rules) {
    const row = bound.find((rule) => rule.kind === kind)?.row
    if (!row || !rows || rows.overdue === 0 || brakedSince) continue
    overdue += (await countOrders(row, { days: 1 }).catch(() => ({ overdue: rows.overdue }))).overdue
  }
  const perSecond = Math.round((first - overdue) / ((performance.now() - startedAt) / 1_000))
  const doneAt = perSecond > 0 ? new Date(Date.now() + (overdue / perSecond) * 1_000) : null
  return { overdue, perSecond, doneAt }
}
