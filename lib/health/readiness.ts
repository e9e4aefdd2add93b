// Whether orders are being settled, as this process sees it: a reading at most once a second, one at a time, and for each check a state
// that follows its readings.

import type { Runtime } from '../timers/runtime.js'
import { CHECKS, type CheckName, type CheckReading, type State, worse } from './checks.js'
import { Look } from './findings.js'
import { isToldAtOnce, Steady } from './steady.js'

/** One check of readiness. */
export interface Check {
  /** Follows the readings: two in a row make it worse, three make it better. */
  state: State
  /** The latest reading. */
  reading: State
  /** The rule, if it is about one. */
  kind?: string
  /** Seconds, or a number of dead letters. */
  value?: number
  /** How many seconds ago the value was read, if it was not read for this answer. */
  age?: number
  /** The limit above which it is degraded. */
  degradedAbove?: number
  /** The limit above which it is failing. Left out if it never is. */
  failingAbove?: number
  /** What is wrong, in the codes of `order-timers status`. `NOT_LOOKED_AT` if something could not be read. */
  codes?: string[]
  /** Messages, which name hosts. Only if requested. */
  details?: string[]
}

/** Whether orders are being settled. */
export interface Ready {
  /** The worst state of all checks; `off` if the timers are switched off or closed. */
  status: State | 'off'
  /** Whether a worker runs on these timers in this process. */
  role: 'worker' | 'web'
  checks: Partial<Record<CheckName, Check>>
}

const CACHED_MS = 1_000

/** After a longer pause earlier readings do not count, so a problem is read once more, a moment later. */
const PAUSE_MS = 30_000
const AGAIN_AFTER_MS = 300

export class Readiness {
  private readonly states = new Map<CheckName, Steady>()
  private readonly look: Look
  private latest: { ready: Ready; at: number } | undefined
  private looking: Promise<Ready> | undefined

  constructor(private readonly runtime: Runtime) {
    this.look = new Look(runtime)
  }

  /** With details. Never rejects. */
  async read(): Promise<Ready> {
    if (this.latest && performance.now() - this.latest.at < CACHED_MS) return this.latest.ready
    this.looking ??= this.lookNow().finally(() => {
      this.looking = undefined
    })
    return this.looking
  }

  private async lookNow(): Promise<Ready> {
    const role = this.runtime.running.size > 0 ? 'worker' : 'web'
    if (this.runtime.health().status === 'off') return { status: 'off', role, checks: {} }
    const isFirst = this.latest === undefined || performance.now() - this.latest.at > PAUSE_MS
    if (isFirst) this.states.clear()
    let checks = await this.takeReading()
    if (isFirst && Object.values(checks).some(({ reading }) => reading !== 'ok')) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS))
      checks = await this.takeReading()
    }
    const ready: Ready = { status: Object.values(checks).reduce<State>((worst, { state }) => worse(worst, state), 'ok'), role, checks }
    this.latest = { ready, at: performance.now() }
    return ready
  }

  private async takeReading(): Promise<Record<CheckName, Check>> {
    const findings = await this.look.take()
    const judged = Object.entries(CHECKS).map(([name, judge]) => {
      const { state: reading, ...found } = judge(findings)
      return [name, { state: this.note(name as CheckName, reading), reading, ...rounded(found) }]
    })
    return Object.fromEntries(judged)
  }

  private note(name: CheckName, reading: State): State {
    const steady = this.states.get(name) ?? new Steady()
    this.states.set(name, steady)
    return steady.note(reading, isToldAtOnce(name))
  }
}

/** Rounds to milliseconds. */
function rounded({ value, age, ...found }: Omit<CheckReading, 'state'>): Omit<CheckReading, 'state'> {
  const inMs = (seconds: number) => Math.round(seconds * 1_000) / 1_000
  return { ...found, ...(value !== undefined && { value: inMs(value) }), ...(age !== undefined && { age: inMs(age) }) }
}
