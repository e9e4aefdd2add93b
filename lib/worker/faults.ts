// What is wrong at present. Each fault is said once, at its beginning and at its end, however often it shows.

import type { Log } from '../logger.js'
import { errorText, type FaultCode, type WorkerEmitter } from './events.js'

export class Faults {
  private readonly present = new Map<string, { code: FaultCode; message: string }>()

  constructor(
    private readonly events: WorkerEmitter,
    private readonly log: Log,
  ) {}

  /** @param kind of the rule that it is about, where it may be about several */
  raise(code: FaultCode, message: string, error?: unknown, kind = ''): void {
    if (this.present.has(code + kind)) return
    this.present.set(code + kind, { code, message })
    this.log('warn', `${code}: ${message}`, { code, ...(error === undefined ? {} : { error: errorText(error) }) })
    this.events.tell('fault', { code, message, ...(error === undefined ? {} : { error }) })
  }

  clear(code: FaultCode, kind = ''): void {
    if (!this.present.delete(code + kind)) return
    this.log('info', `${code}: over`, { code })
    this.events.tell('recovered', { code })
  }

  list(): { code: FaultCode; message: string }[] {
    return [...this.present.values()]
  }
}
