// The screen "Now": what is wrong, who is alive, and how each rule's orders stand. Everybody who looks within two seconds is told the same.

import { boundRule } from '../../admin/problem.js'
import { latenessOfAll, livingProcesses, type Processes } from '../../admin/processes.js'
import type { Runtime } from '../../timers/runtime.js'
import type { LatenessByPath } from '../../worker/settling/lateness.js'
import type { OrderReads } from '../order-reads.js'
import { Remembered } from '../remembered.js'
import type { Turn } from '../turn.js'
import { type Trouble, troublesOf } from '../verdict.js'
import { type CountedKind, KindCounts } from './kind-counts.js'

export interface KindNow extends CountedKind {
  form: string | undefined
  /** Whether its timers can be paused by hand. */
  pausable: boolean
  /** Of the last hour. */
  lateness: LatenessByPath | undefined
}

export interface Now {
  atMs: number
  troubles: Trouble[]
  workers: number
  webs: number
  kinds: KindNow[]
}

export class NowScreen {
  private readonly kinds = new Remembered<CountedKind>({ freshMs: 2_000, waitMs: 150 })
  private readonly processes = new Remembered<Processes>({ freshMs: 2_000, waitMs: 150 })
  private readonly lateness = new Remembered<Map<string, LatenessByPath> | undefined>({ freshMs: 5_000, waitMs: 150 })
  private readonly counts: KindCounts

  constructor(
    private readonly runtime: Runtime,
    reads: OrderReads,
    private readonly turn: Turn,
  ) {
    this.counts = new KindCounts(runtime, reads)
  }

  async read(): Promise<Now> {
    const { runtime } = this
    const [processes, lateness, ...counted] = await Promise.all([
      this.living(),
      this.lateness.get('', () => latenessOfAll(runtime)).catch(() => undefined),
      ...runtime.kinds.map((kind) => this.kinds.get(kind, () => this.counts.of(kind))),
    ])
    const alive = processes.processes.filter((one) => one.alive)
    return {
      atMs: Date.now(),
      troubles: troublesOf({ enabled: runtime.enabled, processes, kinds: counted }),
      workers: alive.filter(({ role }) => role === 'worker').length,
      webs: alive.filter(({ role }) => role === 'web').length,
      kinds: counted.map((one) => ({
        ...one,
        form: runtime.form(one.kind),
        pausable: isPausable(runtime, one.kind),
        lateness: lateness?.get(one.kind),
      })),
    }
  }

  living(): Promise<Processes> {
    return this.processes.get('', () => this.turn.take(() => livingProcesses(this.runtime)))
  }

  /** After an act. */
  forget(): void {
    this.kinds.forget()
  }
}

function isPausable(runtime: Runtime, kind: string): boolean {
  const deadline = boundRule(runtime, kind).rule?.row?.deadline
  return deadline?.in === 'column' && deadline.pause !== undefined && deadline.pause.while === undefined
}
