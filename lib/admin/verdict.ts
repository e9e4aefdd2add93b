// What is wrong, worst first, and whether somebody should act now, from the facts that `status` has gathered. Asks no server.

import { withExpiryEvents } from '../redis/server.js'
import { CAP } from '../rows/cap.js'
import { nameOf } from '../timers/findings.js'
import { SKEW_MS } from './limits.js'
import { type ListedProcess, livingWorkers } from './processes.js'
import { ruleTroubles } from './rule-verdict.js'
import type { Facts } from './status-facts.js'
import { degraded, failing, sentence, type Trouble } from './trouble.js'

/** After a deployment a new rule is not served by all workers yet. */
const DEPLOYING_MS = 60_000

const DEFAULT_SWEEP_MS = 60_000

/** Worker faults that keep orders from being settled. With other faults the sweep settles them, or they are late. */
const FAILING = new Set([
  'NO_WORKER',
  'KIND_UNSERVED',
  'PREFIX_SHARED',
  'POSTGRES_UNAVAILABLE',
  'SWEEP_FAILED',
  'INVALID_MODEL',
  'INTERNAL',
])

/** In this order: causes before their consequences. */
const ORDER = [
  ...['POSTGRES_UNAVAILABLE', 'REDIS_UNAVAILABLE', 'REDIS_UNUSABLE', 'NO_WORKER', 'PREFIX_SHARED', 'INVALID_MODEL', 'KIND_UNSERVED'],
  ...[
    'TABLE_LOCKED',
    'SWEEP_BLOCKED',
    'BRAKED',
    'RUN_UNFINISHED',
    'SWEEP_FAILED',
    'SWEEP_LATE',
    'OVERDUE',
    'CATCHING_UP',
    'REDIS_REFUSES',
    'OTHER_REDIS',
  ],
]

export function troublesOf(facts: Facts): Trouble[] {
  const { enabled, postgres, rules, backlog } = facts
  const sweepMs = sweepMsOf(facts)
  const found: Trouble[] = [
    ...(enabled ? [] : [switchedOff]),
    ...(postgres.problem === undefined ? [] : [failing('POSTGRES_UNAVAILABLE', postgres.problem)]),
    ...redisTroubles(facts),
    ...presence(facts),
    ...clockTroubles(facts),
    ...rules.flatMap((rule) => ruleTroubles(rule, { sweepMs, now: Date.now(), catchingUp: isShrinking(backlog) })),
  ]
  if (backlog && isShrinking(backlog)) found.push(catchingUp(backlog))
  for (const trouble of reported(facts)) if (!found.some((one) => isSame(one, trouble))) found.push(trouble)
  return found.sort((one, other) => rank(one) - rank(other))
}

/** One line: the worst problem and what to do, or that all is well. */
export function headlineOf(troubles: readonly Trouble[], { processes, rules }: Facts): string {
  const [worst] = troubles
  if (worst) return sentence(worst)
  const sum = (count: (rule: Facts['rules'][number]) => number | undefined) => rules.reduce((total, rule) => total + (count(rule) ?? 0), 0)
  const workers = livingWorkers(processes)
  const who = workers === undefined ? 'whether a worker is alive is not known' : `${workers} ${workers === 1 ? 'worker' : 'workers'}`
  const ends = ({ isCapped, rows }: Facts['rules'][number]) => isCapped === true && (rows?.pending ?? 0) > CAP
  const pending = sum((rule) => (ends(rule) ? CAP : (rule.rows?.pending ?? rule.inRedis?.pending ?? rule.armed)))
  const timers = `${rules.some(ends) ? 'more than ' : ''}${pending.toLocaleString('en-US')} timers`
  return `✔ ALL IS WELL: ${who}, ${timers} pending, ${sum(({ rows, inRedis }) => (rows ?? inRedis)?.overdue)} overdue`
}

const switchedOff: Trouble = {
  ...{ level: 'degraded', code: 'SWITCHED_OFF', remedy: undefined },
  message: 'the timers are switched off here (ORDER_TIMERS=off or enabled: false): nothing is armed or settled, and Redis was not read',
}

function redisTroubles({ redis, rules }: Facts): Trouble[] {
  if (redis.problem !== undefined) return [failing('REDIS_UNAVAILABLE', redis.problem.replace(/^orderTimers: /, ''))]
  const lost = rules.flatMap(({ kind, form }) => (form === 'redis' || form === 'handler' ? [kind] : []))
  const effect = `orders are settled by the sweep alone${lost.length > 0 ? `, and those of ${lost.join(', ')} not at all` : ''}`
  const refuses = redis.refuses === undefined ? [] : [degraded('REDIS_REFUSES', `Redis takes no timers (${redis.refuses}): ${effect}`)]
  if (redis.publishesExpiry !== false) return refuses
  const silent = `notify-keyspace-events is ${JSON.stringify(redis.notifications)}, so Redis publishes no expiry and keys that others set are served only as far as a scan finds them in time`
  const flags = withExpiryEvents(redis.notifications ?? '')
  return [...refuses, degraded('EVENTS_OFF', silent, `CONFIG SET notify-keyspace-events ${flags}, and in redis.conf too`)]
}

/** Conclusions from the processes' records. */
function presence({ processes: { findings, processes } }: Facts): Trouble[] {
  const isDeploying = processes.some(({ alive, startedAt, clockMs, beatAt }) => alive && beatAt + clockMs - startedAt < DEPLOYING_MS)
  return findings.map(({ code, kind, message, remedy }) => {
    const level = FAILING.has(code) && !(code === 'KIND_UNSERVED' && isDeploying) ? 'failing' : 'degraded'
    const text = message.replace(/^no worker is alive \((.*)\), and nothing/, '$1, and nothing')
    return { level, code, ...(kind !== undefined && { kind }), message: text, remedy }
  })
}

/** Faults that workers report; if no worker is alive, those of web processes, whose other faults follow from that. */
function reported({ processes: { processes } }: Facts): Trouble[] {
  const living = processes.filter(({ alive }) => alive)
  return living.flatMap((process) =>
    (process.faults ?? [])
      .filter(({ code }) => process.role === 'worker' || code.startsWith('REDIS_'))
      .map(({ code, kind, message }) => ({
        ...{ level: FAILING.has(code) ? ('failing' as const) : ('degraded' as const), code, ...(kind !== undefined && { kind }) },
        ...{ message: `${nameOf(process)}: ${message}`, remedy: undefined },
      })),
  )
}

/** Clocks of processes, and Redis's, against Postgres's, by which deadlines are due. */
function clockTroubles({ processes: { processes, redis }, clock }: Facts): Trouble[] {
  const postgresMs = clock.postgresAheadMs
  const ahead = (milliseconds: number) => `${(Math.abs(milliseconds) / 1_000).toFixed(1)} s ${milliseconds > 0 ? 'ahead of' : 'behind'}`
  const found: Trouble[] = []
  if (postgresMs !== undefined && Math.abs(postgresMs) > SKEW_MS) {
    const effect = 'timers are claimed by the difference, and keys that others set expire by Redis alone'
    found.push(
      degraded('CLOCK_SKEW', `Postgres's clock is ${ahead(postgresMs)} Redis's; ${effect}`, 'let both follow the same NTP servers'),
    )
  }
  for (const one of processes) {
    const offMs = offOf(one, redis === 'read' ? (postgresMs ?? 0) : 0)
    if (!one.alive || Math.abs(offMs) <= SKEW_MS) continue
    if (one.by === 'redis' && postgresMs === undefined) {
      const remedy = 'let both hosts follow the same NTP servers'
      found.push(degraded('CLOCK_SKEW', `the clock of ${nameOf(one)} is ${ahead(offMs)} Redis's; Postgres's was not read`, remedy))
      continue
    }
    const effect = 'Sequelize writes createdAt by it, so deadlines that count from there are off by as much'
    const remedy = 'let that host follow NTP, or let Postgres write the column (DEFAULT now())'
    found.push(degraded('CLOCK_SKEW', `the clock of ${nameOf(one)} is ${ahead(offMs)} Postgres's; ${effect}`, remedy))
  }
  return found
}

function offOf({ clockMs, by }: ListedProcess, postgresMs: number): number {
  return by === 'postgres' ? clockMs : clockMs - postgresMs
}

function isShrinking(backlog: Facts['backlog']): boolean {
  return backlog !== undefined && (backlog.perSecond > 0 || backlog.oldestMoves === true)
}

function catchingUp({ overdue, perSecond, doneAt }: NonNullable<Facts['backlog']>): Trouble {
  if (perSecond <= 0) return degraded('CATCHING_UP', 'more than 10,000 orders are overdue, and the oldest of them are being settled')
  const rate = perSecond.toLocaleString('en-US')
  return degraded(
    'CATCHING_UP',
    `${overdue.toLocaleString('en-US')} orders are overdue, ${rate} a second are settled: done about ${doneAt?.toISOString()}`,
  )
}

/** The shortest sweep interval of a living worker: one worker's reading is enough for all. */
function sweepMsOf({ processes: { processes } }: Facts): number | null {
  const intervals = processes.flatMap(({ alive, sweepMs }) => (alive && sweepMs !== undefined ? [sweepMs] : []))
  if (intervals.length === 0) return DEFAULT_SWEEP_MS
  const scheduled = intervals.filter((one) => one !== null)
  return scheduled.length === 0 ? null : Math.min(...scheduled)
}

function rank({ level, code }: Trouble): number {
  const place = ORDER.indexOf(code)
  return (level === 'failing' ? 0 : 100) + (place < 0 ? ORDER.length : place)
}

function isSame(one: Trouble, other: Trouble): boolean {
  return one.code === other.code && one.kind === other.kind
}
