// One run: a plan goes in, a result comes out. The command, the shrinking of a failing plan and the planted bugs use it.

import { setTimeout as delay } from 'node:timers/promises'
import { type Cells, countCells, orderSpans } from './cells.js'
import { LONGER_AFTER } from './faults/processes.js'
import { type Feature, type Told, trueNow } from './history.js'
import { readJournals } from './journal.js'
import { judge, untried } from './judge/judge.js'
import { readRun } from './judge/read.js'
import type { Anomaly, Verdict } from './judge/run.js'
import { Nemesis } from './nemesis.js'
import { type Plan, topologyOf } from './plan.js'
import { waitForQuiet } from './quiet.js'
import { Slowdown } from './slowdown.js'
import { SWEEP_MS, World } from './world.js'

export interface RunResult extends Omit<Verdict, 'sometimes'> {
  /** How often each kind of fault bit. */
  faults: Record<string, number>
  /** Fault × feature: orders that were pending or in motion while it bit. */
  cells: Cells
  /** From the start of a worker's process until it was ready, and of that until it was loaded: the slowest. */
  readyMs: { most: number; loaded: number }
  seed: number
}

export interface RunOptions {
  /** The directory of another checkout, whose `lib` some workers run for a while. */
  beside?: string | undefined
  say(text: string): void
}

const SHOPS = 3
/** Of what workers reported, beside a process that is not as it should be. */
const SHOWN_FAULTS = 20
/** A delivery of a worker that was killed is tried again after twice the rule's timeout and a margin. */
const QUIET_WITHIN_MS = 90_000
/** So many times as long at most, where the machine is starved. */
const MOST_PATIENCE = 3
/** A run of fewer orders need not have tried everything: one in a hundred does what is rare. */
const TRIES_ALL_FROM_ORDERS = 6_750

export async function runChaos(plan: Plan, { beside, say }: RunOptions): Promise<RunResult> {
  const { seed, workers } = plan
  const world = await World.open({ topology: topologyOf(plan), seed, workers, shops: SHOPS, ordersPerSecond: plan.ordersPerSecond, beside })
  try {
    const nemesis = new Nemesis(world, say)
    await Promise.all([nemesis.carryOut(plan.faults), delay(plan.seconds * 1000)])
    await nemesis.tryAgain(plan.faults)
    await world.everybodyReady()
    const healedAt = trueNow()
    const slowdown = new Slowdown()
    say('all is healed; the shops close')
    await world.closeShops()
    const left = await waitForQuiet(world, () => QUIET_WITHIN_MS * Math.min(slowdown.worst, MOST_PATIENCE))
    const pending = [...left.inPostgres, ...left.inRedis]
    const seconds = ((trueNow() - healedAt) / 1000).toFixed(1)
    slowdown.stop()
    say(pending.length === 0 ? `all is quiet ${seconds} s later` : `still pending ${seconds} s later: ${pending.join(', ')}`)

    const course = { losses: nemesis.losses, healedAt, sweepMs: SWEEP_MS, slowdown: slowdown.worst, afterTimes: [LONGER_AFTER] }
    const run = await world.withPostgres((client) => readRun(client, readJournals(world.directory), course))
    const { sometimes, ...verdict } = judge(run)
    const all =
      plan.seconds * plan.ordersPerSecond >= TRIES_ALL_FROM_ORDERS && plan.faults.length > 0 ? untried({ sometimes, ...verdict }) : []
    return {
      ...verdict,
      anomalies: [
        ...verdict.anomalies,
        ...all,
        ...left.inRedis.map((what) => ofTheRun('recovery', `${what} ${seconds} s after the last fault was healed`)),
        ...nemesis.toothless.map(neverBit),
        ...world.broken.map((text) => broke(text, run.told)),
      ],
      faults: nemesis.bites,
      cells: countCells(nemesis.done, orderSpans(run).values()),
      readyMs: slowestStart(run.told),
      seed,
    }
  } finally {
    await world.close()
  }
}

function slowestStart(told: readonly Told[]): RunResult['readyMs'] {
  const starts = told.flatMap(({ event, details }) => (event === 'ready' ? [details as { loadedMs: number; readyMs: number }] : []))
  return { most: Math.max(0, ...starts.map(({ readyMs }) => readyMs)), loaded: Math.max(0, ...starts.map(({ loadedMs }) => loadedMs)) }
}

const neverBit = (kind: string): Anomaly => ofTheRun('coverage', `the fault ${kind} never bit`)
const broke = (text: string, told: readonly Told[]): Anomaly => {
  const faults = told.filter(({ event }) => event === 'fault' || event === 'recovered').slice(-SHOWN_FAULTS)
  return { ...ofTheRun('processes', text), evidence: { faults } }
}

function ofTheRun(invariant: string, message: string): Anomaly {
  return { invariant, feature: 'since' satisfies Feature, order: '', message, evidence: {} }
}
