// What an engineer should know first: what is wrong, the worst of it first, each with a code that the page has words for. Nothing is asked here.

import type { ListedProcess, Processes } from '../admin/processes.js'
import type { CountedKind } from './screens/kind-counts.js'

export type Level = 'bad' | 'warn'

/** A code, what it is about, and figures for the sentence; `text` and `remedy` are in English, from the package's own messages. */
export interface Trouble {
  level: Level
  code: string
  kind?: string
  count?: number
  ms?: number
  text?: string
  remedy?: string
}

export interface Facts {
  enabled: boolean
  processes: Processes
  kinds: readonly CountedKind[]
}

/** A sweep every minute: half a minute more is late, and nothing for three is broken. */
const SWEEP_LATE_MS = 90_000
const SWEEP_GONE_MS = 180_000
const OVERDUE_MS = 5_000
const SKEW_MS = 1_000

const SEVERE = ['NO_WORKER', 'KIND_UNSERVED', 'OTHER_REDIS', 'PREFIX_SHARED']

export function troublesOf({ enabled, processes, kinds }: Facts): Trouble[] {
  if (!enabled) return [{ level: 'bad', code: 'OFF' }]
  const troubles: Trouble[] = [
    ...kinds.flatMap(ofKind),
    ...processes.findings.map(({ code, kind, message, remedy }) => {
      const level: Level = SEVERE.includes(code) ? 'bad' : 'warn'
      return { level, code, ...(kind !== undefined && { kind }), text: message, remedy }
    }),
    ...ofServers(processes),
    ...processes.processes.flatMap(ofClock),
  ]
  return troubles.sort((one, other) => rank(one) - rank(other))
}

function ofKind({ kind, problem, counts = {}, oldestMs, brakedAtMs, atMs, readMs }: CountedKind): Trouble[] {
  const troubles: Trouble[] = []
  const { overdue = 0, dead = 0, stale = 0 } = counts
  const lateMs = oldestMs === null ? 0 : atMs - oldestMs
  if (problem !== undefined) troubles.push({ level: 'bad', code: 'UNREAD', kind, text: problem })
  if (brakedAtMs !== null) troubles.push({ level: 'bad', code: 'BRAKED', kind, ms: Math.max(0, atMs - brakedAtMs) })
  else if (overdue > 0 && lateMs > OVERDUE_MS) {
    troubles.push({ level: lateMs > SWEEP_LATE_MS ? 'bad' : 'warn', code: 'OVERDUE', kind, count: overdue, ms: lateMs })
  }
  if (dead > 0) troubles.push({ level: 'warn', code: 'DEAD', kind, count: dead })
  if (stale > 0) troubles.push({ level: 'warn', code: 'STALE', kind, count: stale })
  if (readMs !== undefined && readMs > SWEEP_LATE_MS) {
    troubles.push({ level: readMs > SWEEP_GONE_MS ? 'bad' : 'warn', code: 'SWEEP', kind, ms: readMs })
  }
  return troubles
}

function ofServers({ redis, postgres }: Processes): Trouble[] {
  const ofRedis: Trouble[] = typeof redis === 'object' ? [{ level: 'warn', code: 'REDIS', text: redis.problem }] : []
  const unseen: Trouble[] = postgres === 'no table' || postgres === 'no right' ? [{ level: 'warn', code: 'UNSEEN', text: postgres }] : []
  return redis === 'read' ? [] : [...ofRedis, ...unseen]
}

function ofClock({ alive, host, pid, clockMs }: ListedProcess): Trouble[] {
  if (!alive || Math.abs(clockMs) <= SKEW_MS) return []
  return [{ level: 'warn', code: 'CLOCK', ms: clockMs, text: `${host}:${pid}` }]
}

const ORDER = [
  'OFF',
  'NO_WORKER',
  'UNREAD',
  'KIND_UNSERVED',
  'BRAKED',
  'OVERDUE',
  'SWEEP',
  'OTHER_REDIS',
  'PREFIX_SHARED',
  'REDIS',
  'CLOCK',
]

function rank({ level, code }: Trouble): number {
  const place = ORDER.indexOf(code)
  return (level === 'bad' ? 0 : 100) + (place < 0 ? ORDER.length : place)
}
