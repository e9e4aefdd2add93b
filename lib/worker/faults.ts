// A worker's faults: what is wrong at present, by code and by what it is about. If the process itself has just stood still, a fault that is
// concluded from silence is reported two seconds later, unless it is over by then: it was this process that did not listen.

import { type FaultListener, type FaultOf, type FaultReport, FaultsOf } from '../faults.js'
import type { Log } from '../logger.js'
import type { FaultCode } from './events.js'
import type { Standstill } from './standstill.js'

/** Something that is wrong at present. */
export type Fault = FaultOf<FaultCode>

/** Concluded from an answer that did not come. */
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
    const about = report.kind ?? report.channel
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

  /** Drops what is still in doubt. */
  stop(): void {
    for (const timer of this.doubtful.values()) clearTimeout(timer)
    this.doubtful.clear()
  }
}
