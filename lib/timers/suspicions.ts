// Findings from the processes' records as faults: each after it has lasted for its `graceMs`, and until it is no longer found. On timers with a worker the
// worker reports them, with its own faults.

import { type FaultReport, FaultsOf, type PresenceFaultCode } from '../faults.js'
import type { Log, LogLevel } from '../logger.js'
import { Moment } from '../moment.js'
import type { Finding } from './findings.js'

/** A process with a worker does not report a missing one. */
type WorkersCode = Exclude<PresenceFaultCode, 'NO_WORKER'>

/** The faults of a worker, which also report these. */
export interface FaultSink {
  raise(code: WorkersCode, report: FaultReport): void
  clear(code: WorkersCode, about?: string): void
}

export class Suspicions {
  readonly faults: FaultsOf<PresenceFaultCode>
  private readonly lasting = new Map<string, { finding: Finding; since: Moment }>()
  private readonly sinks = new Set<FaultSink>()
  private readonly begun = new Moment()

  /** @param startMs how long after the start nothing is reported, since processes that start together do not appear at once */
  constructor(
    log: Log,
    private readonly startMs: number,
  ) {
    const write = log as (level: LogLevel, ...more: unknown[]) => void
    const quieter = (level: LogLevel, ...more: unknown[]) => write(this.sinks.size > 0 ? 'debug' : level, ...more)
    this.faults = new FaultsOf<PresenceFaultCode>({ emitSafely() {} }, Object.assign(quieter, { debugs: log.debugs, flush() {} }) as Log)
  }

  /** Whether there are findings, reported or not. */
  get any(): boolean {
    return this.lasting.size > 0
  }

  /** @returns a function that ends it */
  reportTo(sink: FaultSink): () => void {
    this.sinks.add(sink)
    return () => this.sinks.delete(sink)
  }

  /** @param findings all present findings */
  take(findings: readonly Finding[]): void {
    const found = new Map(findings.map((finding) => [`${finding.code} ${finding.kind ?? ''}`, finding]))
    for (const [key, { finding }] of this.lasting) if (!found.has(key)) this.over(key, finding)
    for (const [key, finding] of found) {
      const since = this.lasting.get(key)?.since ?? new Moment()
      this.lasting.set(key, { finding, since })
      if (since.passedMs() >= finding.graceMs && this.begun.passedMs() >= this.startMs) this.raise(finding)
    }
  }

  private raise({ code, kind, message, remedy }: Finding): void {
    const report = { ...(kind !== undefined && { kind }), message, remedy }
    this.faults.raise(code, report)
    if (code !== 'NO_WORKER') for (const sink of this.sinks) sink.raise(code, report)
  }

  private over(key: string, { code, kind }: Finding): void {
    this.lasting.delete(key)
    this.faults.clear(code, kind)
    if (code !== 'NO_WORKER') for (const sink of this.sinks) sink.clear(code, kind)
  }
}
