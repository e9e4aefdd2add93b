// docs/capacity.md: how much of each server so many pending timers need, worked out from what was measured. The page says which figures are which.
import type { BenchRecord } from './record.js'
import type { Row } from './row.js'

const PENDING = [1_000_000, 10_000_000, 100_000_000]
const SHARDS = [1, 3, 6, 12]
const WORKERS = [1, 2, 4, 8, 16]
const DAY_S = 86_400
/** Deadlines within so many seconds are armed by a sweep of every minute. */
const HORIZON_S = 120
const OUTAGE_S = 3_600
/** What a worker sends each second while it waits: to one Redis, or to each of three primaries. */
const IDLE_COMMANDS = 1
/** A worker's connections to each primary: its commands, its pulse and its subscription. */
const CONNECTIONS = 3

interface Measured {
  bytes: number
  scheduledRow: number
  scheduledRedis: number
  /** By one worker. */
  settled: number
  settledByFour: number
  swept: number
  emptySweepMs: number
  lateness: { p50: number; p99: number }
  /** Of a worker that waits, and what Redis needs for it, in percent of a core. */
  idle: { worker: number; redis: number }
}

export function capacityPage({ rows, measuredAt, machine }: BenchRecord): string {
  const measured = measuredIn(rows)
  const { bytes, scheduledRow, scheduledRedis, settled, settledByFour, swept, emptySweepMs, lateness, idle } = measured
  return `# Capacity

How many timers, how many servers. Written by \`npm run bench -- --docs\` from what was measured on ${measuredAt.slice(0, 10)} on ${machine.split(',')[0]}: see
[benchmarks.md](benchmarks.md). Servers, workers and clients shared those two cores, so yours do more. What the first table has was measured; all other
figures are calculated from it, by the formula that is given. ${runs(rows)}

## Measured

| | |
| --- | ---: |
| memory of Redis, a timer | ${whole(bytes)} bytes |
| timers scheduled per second, Redis's part | ${whole(scheduledRedis)} |
| timers scheduled per second, with the deadline on the row | ${whole(scheduledRow)} |
| orders settled per second when all are due at once, by one worker; by four | ${whole(settled)}; ${whole(settledByFour)} |
| overdue orders among a million that a sweep settles per second, Redis empty | ${whole(swept)} |
| a sweep that finds nothing among a million | ${Math.round(emptySweepMs)} ms |
| from the deadline to the commit with a million pending, p50; p99 | ${lateness.p50.toFixed(1)} ms; ${lateness.p99.toFixed(1)} ms |
| a worker that waits: its own CPU; Redis's for it | ${idle.worker.toFixed(2)} %; ${idle.redis.toFixed(2)} % of a core |

## By pending timers

Memory is ${whole(bytes)} bytes × timers, and is shared evenly by the primaries of a cluster. If each timer runs for 24 hours, pending ÷ ${whole(DAY_S)} come due
each second; if all run for 15 minutes, 96 times as many. An hour's outage leaves 3,600 times as many overdue, which one worker settles at
${whole(swept)} a second. A Redis that has lost its data gets back only what comes due within two minutes; the rest follows, minute by minute.

| pending | memory | each of ${SHARDS.slice(1).join(', ')} primaries | due each second (24 h) | armed again after a loss | after an hour's outage |
| ---: | ---: | ---: | ---: | ---: | ---: |
${PENDING.map((pending) => byPending(pending, measured)).join('\n')}

Of what comes due, the share that one worker settles at its best (${whole(settled)} a second): ${PENDING.map((pending) => `${short((100 * pending) / DAY_S / settled)} % with ${millions(pending)}`).join(', ')}.
An alarm looks at the head of a sorted set, and a sweep reads an index of Postgres: the cost of both grows with the logarithm of what is pending.

${heldAgainst(rows, measured)}## By workers

Each worker asks Redis about once a second while it waits (each of three primaries, on a cluster), and settles the same orders from the same index: more workers are for rules with work of their own, and
for the death of one of them.

| workers | commands each second while all wait | CPU of Redis for them | connections to each primary of a cluster |
| ---: | ---: | ---: | ---: |
${WORKERS.map((workers) => `| ${workers} | ${workers * IDLE_COMMANDS} | ${(workers * idle.redis).toFixed(1)} % of a core | ${workers * CONNECTIONS} |`).join('\n')}

## The first limit, and what to turn

| limit | is reached at | turn |
| --- | --- | --- |
| Postgres writes each deadline to its row | ${whole(scheduledRow)} calls a second here, ${millions(scheduledRow * DAY_S)} a day | a rule with \`since\` writes none; [scheduleAll](bulk.md) writes many rows by one statement |
| memory of one Redis | ${millions((8 * 2 ** 30) / bytes)} timers in 8 GiB | a larger server, or a cluster: its memory is shared by the primaries |
| settling at one instant | ${whole(settled)} orders a second: of 100,000 due at midnight the last is ${short(100_000 / settled)} s late | spread the deadlines; more cores for Postgres; four workers did ${short(settledByFour / settled)} times as much as one |
| a rule's own \`run\` | connections of the worker's pool ÷ the time that it takes | more workers; \`afterCommit\` for what need not be in the transaction |
| Redis's CPU | ${whole(scheduledRedis)} timers a second, scheduled on one core that Redis shared with the client | a cluster |
`
}

/** The largest run, which the calculated figures are held against. */
const HELD = 10_000_000

const PRIMARIES = { 'one primary': 1, 'three primaries': 3, 'six primaries': 6 }

function runs(rows: readonly Row[]): string {
  const largest = rows.some(({ pending }) => pending === HELD)
    ? '10 million pending timers, four workers or six'
    : 'a million pending timers, four workers or three'
  return `Nothing here was run with more than ${largest} primaries.`
}

/** Empty where the record has no run with so many. */
function heldAgainst(rows: readonly Row[], { bytes, swept, emptySweepMs, lateness }: Measured): string {
  // How late orders are depends on the primaries and not on what is pending.
  const latenessOn = (variant: string) =>
    rows.find((row) => row.scenario === 'cluster' && row.variant === variant && row.pending < HELD)?.latenessMs ?? lateness
  const ofHeld = rows.filter(({ system, pending }) => system === 'express-order-timers' && pending === HELD)
  const lines = ofHeld.flatMap(({ scenario, variant = '', bytesPerTimer, latenessMs, perSecond, detail = {} }) => {
    if (scenario === 'sweep' && variant === '') {
      return [
        heldLine('overdue orders that a sweep settles', swept, figure(perSecond), (value) => `${whole(value)} a second`),
        heldLine('a sweep that finds nothing', emptySweepMs, figure(detail.emptySweepMs), inMilliseconds),
      ]
    }
    if (scenario !== 'cluster') return []
    const shards = PRIMARIES[variant as keyof typeof PRIMARIES]
    const fullest = (figure(bytesPerTimer) * HELD * figure(detail.fullestPercent)) / 100
    const settled = `from the deadline to the commit, ${variant}`
    return [
      heldLine(`memory, ${shards ? `the fullest of ${variant}` : variant}`, (bytes * HELD) / (shards ?? 1), fullest, gigabytes),
      heldLine(`${settled}, p50`, latenessOn(variant).p50, figure(latenessMs?.p50), inMilliseconds),
      heldLine(`${settled}, p99`, latenessOn(variant).p99, figure(latenessMs?.p99), inMilliseconds),
    ]
  })
  if (lines.length === 0) return ''
  return `## Held against a run with 10 million

Memory is calculated from 20,000 timers on one Redis, a sweep from one over a million orders, and how late orders are from the same servers with 100,000
pending timers.

| with 10 million pending | calculated | measured | measured ÷ calculated |
| --- | ---: | ---: | ---: |
${lines.join('\n')}

`
}

function heldLine(what: string, calculated: number, measured: number, shown: (value: number) => string): string {
  return `| ${what} | ${shown(calculated)} | ${shown(measured)} | ${(measured / calculated).toFixed(2)} |`
}

function inMilliseconds(value: number): string {
  return `${value.toFixed(1)} ms`
}

function byPending(pending: number, { bytes, swept }: Measured): string {
  const memory = pending * bytes
  const perSecond = pending / DAY_S
  const cells = [
    millions(pending),
    gigabytes(memory),
    SHARDS.slice(1)
      .map((shards) => gigabytes(memory / shards))
      .join(', '),
    whole(perSecond),
    whole(perSecond * HORIZON_S),
    `${short((perSecond * OUTAGE_S) / swept)} s`,
  ]
  return `| ${cells.join(' | ')} |`
}

function measuredIn(rows: readonly Row[]): Measured {
  const row = (scenario: string, fits: (row: Row) => boolean): Row => {
    const found = rows.find((one) => one.scenario === scenario && one.system === 'express-order-timers' && fits(one))
    if (!found) throw new Error(`bench: the record has no row of "${scenario}" that docs/capacity.md needs; measure all scenarios`)
    return found
  }
  const ofRedis = row('schedule', ({ variant }) => variant === 'redis')
  const swept = row('sweep', ({ variant }) => variant === undefined)
  const { latenessMs } = row('lateness', ({ pending }) => pending === 1_000_000)
  const { detail: idle } = row('idle', () => true)
  return {
    bytes: figure(ofRedis.bytesPerTimer),
    scheduledRedis: figure(ofRedis.perSecond),
    scheduledRow: figure(row('schedule', ({ variant }) => variant === 'row').perSecond),
    settled: figure(row('workers', ({ workers }) => workers === 1).perSecond),
    settledByFour: figure(row('workers', ({ workers }) => workers === 4).perSecond),
    swept: figure(swept.perSecond),
    emptySweepMs: figure(swept.detail?.emptySweepMs),
    lateness: { p50: figure(latenessMs?.p50), p99: figure(latenessMs?.p99) },
    idle: { worker: figure(idle?.workerCpuPercent), redis: figure(idle?.redisCpuPercent) - figure(idle?.idleRedisCpuPercent) },
  }
}

function figure(value: number | undefined): number {
  if (value === undefined || Number.isNaN(value)) throw new Error('bench: the record lacks a figure that docs/capacity.md needs')
  return value
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function short(value: number): string {
  return value >= 10 ? whole(value) : value.toFixed(1)
}

function millions(value: number): string {
  return `${whole(value / 1_000_000)} million`
}

function gigabytes(bytes: number): string {
  const size = bytes / 1e9
  return size >= 1 ? `${short(size)} GB` : `${whole(bytes / 1e6)} MB`
}
