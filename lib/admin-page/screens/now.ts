// The screen "Now": what is wrong, who is alive, and each rule's orders by state. All requests within two seconds get the same answer, in the
// words of `order-timers status`.

import { boundRule } from '../../admin/problem.js'
import { livingWorkers, type Processes } from '../../admin/processes.js'
import type { Trouble } from '../../admin/trouble.js'
import { headlineOf, troublesOf } from '../../admin/verdict.js'
import type { Runtime } from '../../timers/runtime.js'
import type { LatenessByPath } from '../../worker/settling/lateness.js'
import type { OrderReads } from '../order-reads.js'
import type { Turn } from '../turn.js'
import type { CountedKind } from './kind-counts.js'
import { NowReads } from './now-facts.js'

export interface KindNow extends CountedKind {
  form: string | undefined
  /** Whether its timers can be paused by hand. */
  pausable: boolean
  /** Whether it can be held, and whether a hold's end can move its deadlines. */
  holdable: boolean
  shiftable: boolean
  /** Whether it has `verify`. */
  verifies: boolean
  /** Its reminders that failed on orders, with their dead letters. */
  reminders: { kind: string; dead: number }[]
  /** Of the last hour. */
  lateness: LatenessByPath | undefined
  /** How long ago the orders were counted. */
  ageMs: number
  /** Whether they are being counted for the first time. */
  looking: boolean
}

export interface Now {
  atMs: number
  /** The worst problem in one line, or that all is well: the first line of `order-timers status`. */
  headline: string
  /** All problems, worst first. */
  troubles: Trouble[]
  /** Undefined if it is not known. */
  workers: number | undefined
  webs: number
  kinds: KindNow[]
  /** Whether something is not known yet; then ask again in a moment. */
  looking: boolean
}

const LOOKING = '… LOOKING: ask again in a moment'

export class NowScreen {
  private readonly reads: NowReads

  constructor(
    private readonly runtime: Runtime,
    reads: OrderReads,
    turn: Turn,
  ) {
    this.reads = new NowReads(runtime, reads, turn)
  }

  /** @param waitMs for how long to wait for what is not known; undefined: until it is */
  async read(waitMs?: number): Promise<Now> {
    const { facts, kinds, looking } = await this.reads.read(waitMs)
    const troubles = troublesOf(facts)
    const alive = facts.processes.processes.filter((one) => one.alive)
    return {
      atMs: Date.now(),
      headline: looking && troubles.length === 0 ? LOOKING : headlineOf(troubles, facts),
      troubles,
      workers: livingWorkers(facts.processes),
      webs: alive.filter(({ role }) => role === 'web').length,
      looking,
      kinds: kinds.map(({ value: { counted }, ageMs, looking: isFirst }, i) => ({
        ...counted,
        form: this.runtime.form(counted.kind),
        pausable: isPausable(this.runtime, counted.kind),
        ...abilities(this.runtime, counted.kind),
        reminders: (facts.rules[i]?.reminders ?? []).map(({ kind, dead }) => ({ kind, dead })),
        lateness: facts.rules[i]?.lateness,
        ageMs,
        looking: isFirst,
      })),
    }
  }

  /** @returns undefined where nothing is known by then */
  living(waitMs: number): Promise<Processes | undefined> {
    return this.reads.living(waitMs)
  }

  /** After an act. */
  forget(): void {
    this.reads.forget()
  }
}

function isPausable(runtime: Runtime, kind: string): boolean {
  const deadline = boundRule(runtime, kind).rule?.row?.deadline
  return deadline?.in === 'column' && deadline.pause !== undefined && deadline.pause.while === undefined
}

function abilities(runtime: Runtime, kind: string): Pick<KindNow, 'holdable' | 'shiftable' | 'verifies'> {
  const row = boundRule(runtime, kind).rule?.row
  return { holdable: row !== undefined, shiftable: row?.deadline.in === 'column', verifies: row?.verification !== undefined }
}
