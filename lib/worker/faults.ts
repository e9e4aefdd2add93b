// What is wrong at present, by code and by the rule that it is about. Each fault is told when it begins and when it ends, however often it shows.

import type { Log } from '../logger.js'
import { errorText, type FaultCode, type WorkerEmitter } from './events.js'

/** Something that is wrong at present. */
export interface Fault {
  code: FaultCode
  /** The rule that it is about; left out where it is about the process or a server. */
  kind?: string
  /** What is wrong, and what to do about it. */
  message: string
  /** The error behind it, as text. */
  cause?: string
  /** What to do about it. */
  remedy?: string
  /** When it began, by this process's clock. */
  since: Date
}

/** What is known of a fault when it shows. */
export interface FaultReport {
  /** The rule that it is about, where it is about one. */
  kind?: string
  message: string
  /** Added to the message, after a semicolon. */
  remedy?: string
  error?: unknown
}

export class Faults {
  private readonly present = new Map<string, Fault>()

  constructor(
    private readonly events: WorkerEmitter,
    private readonly log: Log,
  ) {}

  /** Tells a fault that is new. Of one that is known the latest message and cause are kept. */
  raise(code: FaultCode, { kind, message: what, remedy, error }: FaultReport): void {
    const known = this.present.get(keyOf(code, kind))
    const message = remedy === undefined ? what : `${what}; ${remedy}`
    const about = {
      code,
      ...(kind !== undefined && { kind }),
      message,
      ...(error !== undefined && { cause: errorText(error) }),
      ...(remedy !== undefined && { remedy }),
    }
    this.present.set(keyOf(code, kind), { ...about, since: known?.since ?? new Date() })
    if (known) return
    const { message: _, cause, remedy: __, ...fields } = about
    this.log('warn', `${code}: ${message}`, { ...fields, ...(cause !== undefined && { error: cause }) })
    this.events.tell('fault', { ...about, ...(error !== undefined && { error }) })
  }

  /** @param kind the rule that the fault is about; without one, the fault that is about none */
  clear(code: FaultCode, kind?: string): void {
    const known = this.present.get(keyOf(code, kind))
    if (!known) return
    this.present.delete(keyOf(code, kind))
    const about = { code, ...(kind !== undefined && { kind }) }
    this.log('info', `${code}: over${kind === undefined ? '' : ` (${kind})`}`, about)
    this.events.tell('recovered', { ...about, since: known.since })
  }

  has(code: FaultCode, kind?: string): boolean {
    return this.present.has(keyOf(code, kind))
  }

  list(): Fault[] {
    return [...this.present.values()]
  }
}

function keyOf(code: FaultCode, kind = ''): string {
  return `${code} ${kind}`
}
