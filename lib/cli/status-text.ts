// The output of `order-timers status` for people.

import type { Processes } from '../admin/processes.js'
import type { RedisStatus, Status } from '../admin/status.js'
import { table } from './table.js'

const HEADER = [
  ...['rule', 'pending', 'within 1 h', 'overdue', 'oldest', 'retrying', 'locked', 'dead', 'stale', 'held', 'paused', 'undated'],
  ...['armed', 'braked since'],
]

export function statusText({ enabled, postgres, redis, processes, rules }: Status): string {
  const lines = table(
    HEADER,
    rules.map(({ kind, rows, dead, armed, brakedSince }) => {
      const due = [rows?.pending, rows?.withinHour, rows?.overdue, rows?.oldestOverdue?.toISOString(), rows?.retrying, rows?.locked]
      return [kind, ...due, dead, rows?.stale, rows?.held, rows?.paused, rows?.undated, armed, brakedSince?.toISOString()]
    }),
  )
  const problems = rules.flatMap(({ kind, problem }) => (problem === undefined ? [] : [`${kind}: ${problem}`]))
  const off = enabled ? [] : ['the timers are switched off here (ORDER_TIMERS=off or enabled: false): nothing is armed or settled']
  return [
    ...lines,
    '',
    ...off,
    `Postgres: ${postgres.problem ?? 'answers'}`,
    `Redis: ${redisText(redis)}`,
    ...processesText(processes),
    ...problems,
  ].join('\n')
}

function redisText({ used, problem, notifications, publishesExpiry }: RedisStatus): string {
  if (!used) return 'not used'
  if (problem !== undefined) return problem
  if (notifications === undefined) return 'answers; notify-keyspace-events may not be read by this user'
  const set = `notify-keyspace-events is ${JSON.stringify(notifications)}`
  if (publishesExpiry) return `answers; ${set}`
  return `answers; ${set}, so that it publishes no expiry and keys that others set are not served; it must have Ex`
}

const NOT_IN_POSTGRES = {
  'no table': 'Postgres has no table order_timers_processes; `order-timers migration` prints it',
  'no right': 'this role may not read order_timers_processes',
  'not read': 'order_timers_processes could not be read',
}

function processesText({ processes, findings, redis, postgres }: Processes): string[] {
  const count = (wanted: string, one: string, many: string) => {
    const living = processes.filter(({ alive, role }) => alive && role === wanted).length
    return `${living} ${living === 1 ? one : many}`
  }
  const seen = postgres === 'read' ? '' : ` (by Redis alone: ${NOT_IN_POSTGRES[postgres]})`
  const isKnown = redis === 'read' || postgres === 'read'
  const living = `${count('worker', 'worker', 'workers')}, ${count('web', 'web process', 'web processes')}`
  const alive = `Alive: ${isKnown ? living : 'not known'}${seen}`
  return [alive, ...findings.map(({ code, message, remedy }) => `${code}: ${message}; ${remedy}`)]
}
