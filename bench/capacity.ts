// docs/capacity.md: how much of each server so many pending timers need, worked out from what was measured. The page says which figures are which.
import type { BenchRecord } from './record.js'
import type { Row } from './row.js'

const PENDING = [1_000_000, 10_000_000, 100_000_000]
const SHARDS = [1, 3, 6, 12]
const WORKERS = [1, 2, 4, 8, 16]
const DAY_S = 86_400
/** Of the due index in a cluster. */
const PARTITIONS = 8
/** Deadlines within so many seconds are armed by a sweep of every minute. */
const HORIZON_S = 120
const OUTAGE_S = 3_600
/** What a worker sends each second while it waits: to one Redis, or to each of three primaries. */
const IDLE_COMMANDS = 1
/** A worker's connections to each primary: its commands, its pulse and its subscription. */
const CONNECTIONS = 3

interface Measured {
  bytes: number
  /** The timer's own key, of these. */
  keyBytes: number
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
  const { bytes, keyBytes, scheduledRow, scheduledRedis, settled, settledByFour, swept, emptySweepMs, lateness, idle } = measured
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

Memory is ${whole(bytes)} bytes × timers. The primaries of a cluster share the keys evenly (${whole(keyBytes)} bytes each), and the due index by its ${PARTITIONS} partitions: with six, the fullest has two of
them. If each timer runs for 24 hours, pending ÷ ${whole(DAY_S)} come due
each second; if all run for 15 minutes, 96 times as many. An hour's outage leaves 3,600 times as many overdue, which one worker settles at
${whole(swept)} a second. A Redis that has lost its data gets back only what comes due within two minutes; the rest follows, minute by minute.

| pending | memory | the fullest of ${SHARDS.slice(1).join(', ')} primaries | due each second (24 h) | armed again after a loss | after an hour's outage |
| ---: | ---: | ---: | ---: | ---: | ---: |
${PENDING.map((pending) => byPending(pending, measured)).join('\n')}

Of what comes due, the share that one worker settles at its best (${whole(settled)} a second): ${PENDING.map((pending) => `${short((100 * pending) / DAY_S / settled)} % with ${millions(pending)}`).join(', ')}.
An alarm looks at the head of a sorted set, and a sweep reads an index of Postgres: the cost of both grows with the logarithm of what is pending.

${heldAgainst(rows, measured)}${byPrimaries(rows)}## By workers

Each worker asks Redis about once a second while it waits (each of three primaries, on a cluster), and settles the same orders from the same index: more workers are for rules with work of their own, and
for the death of one of them.

| workers | commands each second while all wait | CPU of Redis for them | connections to each primary of a cluster |
| ---: | ---: | ---: | ---: |
${WORKERS.map((workers) => `| ${workers} | ${workers * IDLE_COMMANDS} | ${(workers * idle.redis).toFixed(1)} % of a core | ${workers * CONNECTIONS} |`).join('\n')}

## The first limit, and what to turn

| limit | is reached at | turn |
| --- | --- | --- |
| Postgres writes each deadline to its row | ${whole(scheduledRow)} calls a second here, ${millions(scheduledRow * DAY_S)} a day | a rule with \`since\` writes none; [scheduleAll](bulk.md) writes many rows by one statement |
| memory of one Redis | ${millions((8 * 2 ** 30) / bytes)} timers in 8 GiB | a larger server, or a cluster: its primaries share the memory |
| settling at one instant | ${whole(settled)} orders a second: of 100,000 due at midnight the last is ${short(100_000 / settled)} s late | spread the deadlines; more cores for Postgres; four workers did ${short(settledByFour / settled)} times as much as one |
| a rule's own \`run\` | connections of the worker's pool ÷ the time that it takes | more workers; \`afterCommit\` for what need not be in the transaction |
| Redis's CPU | ${whole(scheduledRedis)} timers a second, scheduled on one core that Redis shared with the client | a cluster |
`
}

/** Empty where the record does not have it. */
function byPrimaries(rows: readonly Row[]): string {
  const paced = rows.flatMap(({ scenario, pending, variant = '', detail = {} }) => {
    const primaries = PRIMARIES[variant as keyof typeof PRIMARIES]
    const { pacedCpuUsPerTimer: timer, pacedCpuUsPerCommand: command } = detail
    const isMeasured = scenario === 'cluster' && pending < HELD && primaries !== undefined && timer !== undefined && command !== undefined
    return isMeasured ? [{ primaries, timer, command }] : []
  })
  const one = paced.find(({ primaries }) => primaries === 1)
  if (one === undefined) return ''
  const line = ({ primaries, timer, command }: typeof one) =>
    `| ${primaries} | ${timer.toFixed(1)} µs | ${(one.timer / timer).toFixed(2)} | ${command.toFixed(1)} µs | ${(one.command / command).toFixed(2)} |`
  return `## By primaries

What a timer that is scheduled costs all primaries together, while each of them gets 4,000 a second, in bursts of 100. *Of linear* is what it costs one primary, divided by
that. Redis counts the commands within a script too, and of larger bursts more timers share a script.

| primaries | CPU per timer | of linear | CPU per command | of linear |
| ---: | ---: | ---: | ---: | ---: |
${paced.map(line).join('\n')}

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
function heldAgainst(rows: readonly Row[], measured: Measured): string {
  const { bytes, swept, emptySweepMs } = measured
  const ours = rows.filter(({ system }) => system === 'express-order-timers')
  const held = (scenario: string) => ours.filter((row) => row.scenario === scenario && row.pending === HELD)
  const memory = held('cluster').map(({ variant = '', bytesPerTimer, detail = {} }) => {
    const shards = PRIMARIES[variant as keyof typeof PRIMARIES]
    const fullest = (figure(bytesPerTimer) * HELD * figure(detail.fullestPercent)) / 100
    if (shards === undefined) return heldLine(`memory, ${variant}`, bytes * HELD, fullest, gigabytes)
    return heldLine(`memory, the fullest of ${variant}`, bytesOnFullest(measured, shards) * HELD, fullest, gigabytes)
  })
  const settled = held('sweep').flatMap(({ variant = '', perSecond, detail = {} }) => {
    if (variant === 'drain') {
      const ofMillion = ours.find((row) => row.scenario === 'sweep' && row.variant === 'drain' && row.pending < HELD)
      return [heldLine('orders settled when all are due at once', figure(ofMillion?.perSecond), figure(perSecond), aSecond)]
    }
    return [
      heldLine('overdue orders that a sweep settles', swept, figure(perSecond), aSecond),
      heldLine('a sweep that finds nothing', emptySweepMs, figure(detail.emptySweepMs), inMilliseconds),
    ]
  })
  if (memory.length + settled.length === 0) return ''
  return `## Held against a run with 10 million

Memory is calculated from 20,000 timers on one Redis, and what is settled from a table with a million orders.

| with 10 million pending | calculated | measured | measured ÷ calculated |
| --- | ---: | ---: | ---: |
${[...memory, ...settled].join('\n')}

How late orders are is not calculated: it depends on what else the machine does more than on what is pending.

| from the deadline to the commit, p50; p99 | 100,000 pending | 10 million |
| --- | ---: | ---: |
${held('cluster')
  .map((row) => latenessLine(row, ours))
  .join('\n')}

`
}

function latenessLine({ variant = '', latenessMs }: Row, ours: readonly Row[]): string {
  const fewer = ours.find((row) => row.scenario === 'cluster' && row.variant === variant && row.pending < HELD)
  const cell = (late: Row['latenessMs']) => `${inMilliseconds(figure(late?.p50))}; ${inMilliseconds(figure(late?.p99))}`
  return `| ${variant} | ${cell(fewer?.latenessMs)} | ${cell(latenessMs)} |`
}

function heldLine(what: string, calculated: number, measured: number, shown: (value: number) => string): string {
  return `| ${what} | ${shown(calculated)} | ${shown(measured)} | ${(measured / calculated).toFixed(2)} |`
}

function aSecond(value: number): string {
  return `${whole(value)} a second`
}

function inMilliseconds(value: number): string {
  return `${value.toFixed(1)} ms`
}

/** Of each timer of a cluster, what the fullest of so many primaries has on average. */
function bytesOnFullest({ bytes, keyBytes }: Pick<Measured, 'bytes' | 'keyBytes'>, shards: number): number {
  return keyBytes / shards + ((bytes - keyBytes) * Math.ceil(PARTITIONS / shards)) / PARTITIONS
}

function byPending(pending: number, measured: Measured): string {
  const { bytes, swept } = measured
  const memory = pending * bytes
  const perSecond = pending / DAY_S
  const cells = [
    millions(pending),
    gigabytes(memory),
    SHARDS.slice(1)
      .map((shards) => gigabytes(pending * bytesOnFullest(measured, shards)))
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
    keyBytes: figure(rows.find(({ scenario, system }) => scenario === 'schedule' && system === 'setex-listener')?.bytesPerTimer),
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
