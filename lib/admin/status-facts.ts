// The facts behind `status`: both servers, the processes, and each rule, read once. Reads only, apart from a test write in Redis that leaves nothing behind.

import { setTimeout as delay } from 'node:timers/promises'
import type { ShopRule } from '../rules/rule.js'
import type { Runtime } from '../timers/runtime.js'
import { keptFailures } from './kept-failures.js'
import { countOrders } from './order-counts.js'
import { boundRule, postgresTrouble } from './problem.js'
import { latenessOfAll, livingProcesses, type Processes } from './processes.js'
import { type RuleStatus, ruleStatus, unknownRule } from './rule-status.js'
import { clockDifference, type RedisStatus, redisStatus } from './server-status.js'

/** With this many overdue orders it is a backlog, which is counted twice. */
export const BACKLOG = 200
const BACKLOG_MS = 1_500

export interface Backlog {
  /** The overdue orders at the second count. */
  overdue: number
  /** By how many it shrinks; negative where it grows. */
  perSecond: number
  /** The estimated end at this rate; null if it does not shrink. */
  doneAt: Date | null
  /** If there are too many to count: whether the oldest ones are being settled. */
  oldestMoves?: boolean
}

export interface Facts {
  enabled: boolean
  postgres: { answering: boolean; problem: string | undefined }
  redis: RedisStatus
  /** How far Postgres's clock is ahead of Redis's, milliseconds; undefined if that could not be read. */
  clock: { postgresAheadMs: number | undefined }
  /** The processes, and what is wrong with them. */
  processes: Processes
  rules: RuleStatus[]
  /** The backlog, if more than 200 orders are overdue without an excuse. */
  backlog: Backlog | undefined
}

export interface FactsOptions {
  /** If no worker seems alive, ask again after this many milliseconds: after an outage of Redis the first heartbeat takes a moment. */
  confirmMs?: number
}

/** Each rule is read separately. Never rejects: what does not answer, or could not be read, is a `problem` in the result. */
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
    backlog: await backlogOf(runtime, rules, ofShop),
  }
}

/** Whether overdue orders of this rule are a backlog that a worker settles. */
export function isSettled({ brakedSince, dryRun }: RuleStatus): boolean {
  return brakedSince === null && !dryRun
}

async function backlogOf(runtime: Runtime, rules: readonly RuleStatus[], bound: readonly ShopRule[]): Promise<Backlog | undefined> {
  const settling = rules.filter(isSettled)
  const first = settling.reduce((sum, { rows }) => sum + (rows?.overdue ?? 0), 0)
  if (first < BACKLOG) return undefined
  const startedAt = performance.now()
  await delay(BACKLOG_MS)
  let overdue = 0
  for (const { kind, rows, dead } of settling) {
    const row = bound.find((rule) => rule.kind === kind)?.row
    if (!row || !rows || rows.overdue === 0) continue
    const failed = dead === undefined ? undefined : (await keptFailures(runtime, kind)).failed // otherwise they would count as overdue
    overdue += (await countOrders(row, { days: 1, failed }).catch(() => ({ overdue: rows.overdue }))).overdue
  }
  const perSecond = Math.round((first - overdue) / ((performance.now() - startedAt) / 1_000))
  const doneAt = perSecond > 0 ? new Date(Date.now() + (overdue / perSecond) * 1_000) : null
  return { overdue, perSecond, doneAt }
}
