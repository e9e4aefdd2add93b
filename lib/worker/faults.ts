// A worker's faults: what is wrong at present, by code and subject. If the process itself has just stood still, a fault that is
// concluded from silence is reported two seconds later, unless it is over by then: the process itself may have been the reason.

import { aboutOf, type FaultListener, type FaultOf, type FaultReport, FaultsOf } from '../faults.js'
import type { Log } from '../logger.js'
import type { FaultCode } from './events.js'
import type { Standstill } from './standstill.js'

/** Something that is wrong at present. */
export type Fault = FaultOf<FaultCode>

/** The faults of one server. */
export type ServerFaults = Pick<Faults, 'raise' | 'clear' | 'has'>

/** Codes that are concluded from a missing answer. */
const BY_SILENCE: ReadonlySet<FaultCode> = new Set(['REDIS_UNAVAILABLE', 'POSTGRES_UNAVAILABLE', 'SWEEP_FAILED', 'EVENTS_OFF'])

/** Long enough to reconnect on a busy machine. */
const DOUBT_MS = 2_000

export class Faults extends FaultsOf<FaultCode> {
  private readonly doubtful = new Map<string, NodeJS.Timeout>()

  constructor(
    listener: FaultListener<FaultCode>,
    log: Log,
    private readonly standstill?: Standstill,
  ) {
    super(listener, log)
  }

  /** Whether the process stood still until a moment ago, so that silence proves nothing. */
  justWoke(): boolean {
    return this.standstill?.justWoke ?? false
  }

  override raise(code: FaultCode, report: FaultReport): void {
    const about = aboutOf(report)
    const key = `${code} ${about ?? ''}`
    if (this.doubtful.has(key)) return
    const begin = () => {
      this.doubtful.delete(key)
      super.raise(code, report)
    }
    if (!BY_SILENCE.has(code) || this.has(code, about) || !this.justWoke()) begin()
    else this.doubtful.set(key, setTimeout(begin, DOUBT_MS))
  }

  override clear(code: FaultCode, about?: string): void {
    const key = `${code} ${about ?? ''}`
    clearTimeout(this.doubtful.get(key))
    this.doubtful.delete(key)
    super.clear(code, about)
  }

  /** Drops faults that are still in doubt. */
  stop(): void {
    for (const timer of this.doubtful.values()) clearTimeout(timer)
    this.doubtful.clear()
  }
}

/** The faults of one node of a cluster. */
export class NodeFaults implements ServerFaults {
  private ended = false

  constructor(
    private readonly faults: Faults,
    private readonly node: string,
  ) {}

  raise(code: FaultCode, report: FaultReport): void {
    if (!this.ended) this.faults.raise(code, { ...report, node: this.node })
  }

  clear(code: FaultCode, about?: string): void {
    this.faults.clear(code, this.about(about))
  }

  has(code: FaultCode, about?: string): boolean {
    return this.faults.has(code, this.about(about))
  }

  /** The node has left the cluster, or no longer serves slots. */
  end(): void {
    this.ended = true
    for (const code of BY_SILENCE) this.clear(code) // also those that are still in doubt
    for (const fault of this.faults.list()) if (fault.node === this.node) this.faults.clear(fault.code, aboutOf(fault))
  }

  private about(channel: string | undefined): string | undefined {
    return aboutOf({ node: this.node, ...(channel !== undefined && { channel }) })
  }
}
