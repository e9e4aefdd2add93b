// The output of `order-timers status` for people: what is wrong, worst first; then the rules, the servers and the processes.

import { ageText } from '../admin/age-text.js'
import type { ListedProcess, Processes } from '../admin/processes.js'
import { type RedisStatus, type RuleStatus, type Status, sentence } from '../admin/status.js'
import { cappedText } from '../rows/cap.js'
import { oneLine } from './one-line.js'
import { type Cell, grouped, table } from './table.js'

const HEADER = [
  ...['rule', 'pending', 'overdue', 'oldest', 'retrying', 'locked', 'dead', 'stale', 'held', 'unverified', 'paused', 'undated'],
  ...['p50', 'p99', 'alarm', 'event', 'sweep', 'armed', 'braked since'],
]

/** @param now by this process's clock */
export function statusText({ headline, troubles, postgres, redis, clock, processes, rules }: Status, now = Date.now()): string {
  return [
    ...[headline, ...troubles.slice(1).map(sentence)].map(oneLine),
    '',
    ...table(
      HEADER,
      rules.map((rule) => ruleCells(rule, now)),
    ),
    '',
    `p50, p99: how late orders were in the last hour, and which path brought them; - where none was settled, or Redis does not say`,
    `Postgres: ${oneLine(postgres.problem ?? `answers${clockText(clock.postgresAheadMs)}`)}`,
    `Redis: ${oneLine(redisText(redis))}`,
    `Sweep: ${sweepText(rules)}`,
    ...(redis.used ? [`Scan: ${scanText(processes)}`] : []),
    `Next deadline: ${nextText(rules)}`,
    ...rules.flatMap(unverifiedText),
    ...rules.flatMap(heldText),
    ...processesText(processes),
  ].join('\n')
}

function ruleCells({ kind, rows, inRedis, dueAheadMs = 0, dead, lateness, armed, brakedSince }: RuleStatus, now: number): Cell[] {
  const { pending, overdue, oldestOverdue = null } = rows ?? inRedis ?? {}
  const oldest = oldestOverdue === null ? undefined : ageText(now + dueAheadMs - oldestOverdue.getTime())
  const { count = 0, p50Ms = null, p99Ms = null, paths } = lateness ?? {}
  const share = (path: 'alarm' | 'event' | 'sweep') =>
    count === 0 ? undefined : `${Math.round((100 * (paths?.[path].count ?? 0)) / count)} %`
  return [
    ...[kind, pending, overdue, oldest, rows?.retrying, rows?.locked, rows?.dead ?? dead],
    ...[rows?.stale, rows?.held, rows?.unverified, rows?.paused, rows?.undated],
    ...[p50Ms === null ? undefined : lateText(p50Ms), p99Ms === null ? undefined : lateText(p99Ms)],
    ...[share('alarm'), share('event'), share('sweep'), armed, brakedSince?.toISOString()],
  ]
}

function lateText(milliseconds: number): string {
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : ageText(milliseconds)
}

function clockText(aheadMs: number | undefined): string {
  if (aheadMs === undefined || Math.abs(aheadMs) < 20) return ''
  return `; its clock is ${grouped(Math.abs(aheadMs))} ms ${aheadMs > 0 ? 'ahead of' : 'behind'} Redis's`
}

function redisText({ used, problem, refuses, notifications, publishesExpiry }: RedisStatus): string {
  if (!used) return 'not used'
  if (problem !== undefined) return problem
  if (refuses !== undefined) return `answers, and refuses writes: ${refuses}`
  if (notifications === undefined) return 'answers; notify-keyspace-events may not be read by this user'
  const set = `notify-keyspace-events is ${JSON.stringify(notifications)}`
  if (publishesExpiry) return `answers; ${set}`
  return `answers; ${set}, so that it publishes no expiry and keys that others set are served only as far as a scan finds them in time; it must have Ex`
}

/** For the rule whose last reading is oldest. */
function sweepText(rules: readonly RuleStatus[]): string {
  const ages = rules.flatMap(({ readAgoMs }) => (readAgoMs === undefined ? [] : [readAgoMs]))
  return ages.length === 0
    ? 'when a worker last read what is overdue is not known'
    : `a worker read what is overdue ${ageText(Math.max(...ages))} ago`
}

/** For the worker whose last pass took longest. */
function scanText({ processes }: Processes): string {
  const took = processes.flatMap(({ alive, scanMs }) => (alive && scanMs !== undefined ? [scanMs] : []))
  return took.length === 0
    ? 'no worker has completed a pass over the keys, which finds those that other services set'
    : `a pass over the keys, which finds those that other services set, takes ${ageText(Math.max(...took))}`
}

function heldText({ kind, hold }: RuleStatus): string[] {
  if (!hold) return []
  const end = hold.opensAt ? `opens at ${hold.opensAt.toISOString()}` : hold.until ? `until ${hold.until.toISOString()}` : ''
  const state = hold.state === 'releasing' && !hold.opensAt ? 'its deadlines are being moved' : end
  return [`Held: ${kind} since ${hold.since.toISOString()} by ${oneLine(hold.by)} (${oneLine(hold.reason)})${state ? `; ${state}` : ''}`]
}

function nextText(rules: readonly RuleStatus[]): string {
  const upcoming = rules.flatMap(({ kind, next }) => (next === null ? [] : [{ kind, next }]))
  const [first] = upcoming.sort((one, other) => one.next.getTime() - other.next.getTime())
  return first ? `${first.next.toISOString()} (${first.kind})` : 'none'
}

function unverifiedText({ kind, unverified }: RuleStatus): string[] {
  if (!unverified || unverified.count === 0) return []
  const { count, since, next, refused, refusedId, lastError } = unverified
  const parts = [
    `Unverified: ${kind}: ${cappedText(count)} wait for an answer of "verify" since ${since?.toISOString()}, the next is asked about at ${next?.toISOString()}`,
    ...(refused > 0 ? [`${cappedText(refused)} keep being answered false, such as ${refusedId}`] : []),
    ...(lastError === null ? [] : [`last error: ${lastError}`]),
  ]
  return [oneLine(parts.join('; '))]
}

const NOT_IN_POSTGRES = {
  'no table': 'Postgres has no table order_timers_processes; `order-timers migration` prints it',
  'no right': 'this role may not read order_timers_processes',
  'not read': 'order_timers_processes could not be read',
}

function processesText({ processes, redis, postgres }: Processes): string[] {
  const count = (wanted: string, one: string, many: string) => {
    const living = processes.filter(({ alive, role }) => alive && role === wanted).length
    return `${living} ${living === 1 ? one : many}`
  }
  const seen = postgres === 'read' ? '' : ` (by Redis alone: ${NOT_IN_POSTGRES[postgres]})`
  const isKnown = redis === 'read' || postgres === 'read'
  const living = `${count('worker', 'worker', 'workers')}, ${count('web', 'web process', 'web processes')}`
  const lines = [`Alive: ${isKnown ? living : 'not known'}${seen}`]
  if (processes.length === 0) return lines
  const rows = processes.map((one) => [one.role, `${one.host}:${one.pid}`, `${ageText(one.ageMs)} ago`, ...aboutText(one)])
  return [...lines, '', ...table(['role', 'process', 'last beat', '', 'up for', 'version', 'clock'], rows)]
}

function aboutText({ alive, ageMs, startedAt, beatAt, clockMs, version }: ListedProcess): Cell[] {
  const upMs = beatAt + clockMs - startedAt + ageMs
  const clock = `${clockMs < 0 ? '-' : '+'}${(Math.abs(clockMs) / 1_000).toFixed(1)} s`
  return [alive ? 'alive' : 'silent', ageText(upMs), version, clock]
}
