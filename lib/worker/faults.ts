// A worker's faults: what is wrong at present, by code and by what it is about. What is judged by silence just after the process stood still is
// told two seconds later, unless it is over by then: it was this process that did not listen.

import { type FaultOf, type FaultReport, FaultsOf } from '../faults.js'
import type { FaultCode } from './events.js'

export type { FaultReport } from '../faults.js'

/** Something that is wrong at present. */
export type Fault = FaultOf<FaultCode>

const BY_SILENCE: ReadonlySet<FaultCode> = new Set(['REDIS_UNAVAILABLE', 'POSTGRES_UNAVAILABLE', 'SWEEP_FAILED', 'EVENTS_OFF'])
/** Long enough for a connection that was given up to be made anew on a machine that is busy. */
const DOUBT_MS = 2_000

export class Faults extends FaultsOf<FaultCode> {
  /** Whether the process stood still until a moment ago. */
  justWoke: () => boolean = () => false
  private readonly doubtful = new Map<string, NodeJS.Timeout>()

  override raise(code: FaultCode, report: FaultReport): void {
    const about = report.kind ?? report.channel
    const key = `${code} ${about ?? ''}`
    if (this.doubtful.has(key)) return
    const tell = () => {
      this.doubtful.delete(key)
      super.raise(code, report)
    }
    if (!BY_SILENCE.has(code) || this.has(code, about) || !this.justWoke()) tell()
    else this.doubtful.set(key, setTimeout(tell, DOUBT_MS))
  }

  override clear(code: FaultCode, about?: string): void {
    const key = `${code} ${about ?? ''}`
    clearTimeout(this.doubtful.get(key))
    this.doubtful.delete(key)
    super.clear(code, about)
  }

  /** Tells nothing more that is doubtful. */
  stop(): void {
    for (const timer of this.doubtful.values()) clearTimeout(timer)
    this.doubtful.clear()
  }
}
