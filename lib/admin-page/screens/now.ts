// The screen "Now": what is wrong, who is alive, and how each rule's orders stand. Everybody who looks within two seconds is told the same, in the
// words of `order-timers status`.

import { boundRule } from '../../admin/problem.js'
import type { Processes } from '../../admin/processes.js'
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
  /** Of the last hour. */
  lateness: LatenessByPath | undefined
  /** How long ago the orders were counted. */
  ageMs: number
}

export interface Now {
  atMs: number
  /** The worst of it in one line, or that all is well: what `order-timers status` says. */
  headline: string
  /** All that is wrong, worst first. */
  troubles: Trouble[]
  workers: number
  webs: number
  kinds: KindNow[]
}

export class NowScreen {
  private readonly reads: NowReads

  constructor(
    private readonly runtime: Runtime,
    reads: OrderReads,
    turn: Turn,
  ) {
    this.reads = new NowReads(runtime, reads, turn)
  }

  async read(): Promise<Now> {
    const { facts, kinds } = await this.reads.read()
    const troubles = troublesOf(facts)
    const alive = facts.processes.processes.filter((one) => one.alive)
    return {
      atMs: Date.now(),
      headline: headlineOf(troubles, facts),
      troubles,
      workers: alive.filter(({ role }) => role === 'worker').length,
      webs: alive.filter(({ role }) => role === 'web').length,
      kinds: kinds.map(({ value: { counted }, ageMs }, i) => ({
        ...counted,
        form: this.runtime.form(counted.kind),
        pausable: isPausable(this.runtime, counted.kind),
        ...holdability(this.runtime, counted.kind),
        lateness: facts.rules[i]?.lateness,
        ageMs,
      })),
    }
  }

  living(): Promise<Processes> {
    return this.reads.living()
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

function holdability(runtime: Runtime, kind: string): { holdable: boolean; shiftable: boolean } {
  const row = boundRule(runtime, kind).rule?.row
  return { holdable: row !== undefined, shiftable: row?.deadline.in === 'column' }
}
