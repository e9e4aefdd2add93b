// What is wrong at present. Each fault is said once, at its beginning and at its end, however often it shows.

import type { Log } from '../logger.js'
import { errorText, type FaultCode, type WorkerEmitter } from './events.js'

export class Faults {
  private readonly present = new Map<FaultCode, string>()

  constructor(
    private readonly events: WorkerEmitter,
    private readonly log: Log,
  ) {}

  raise(code: FaultCode, message: string, error?: unknown): void {
    if (this.present.has(code)) return
    this.present.set(code, message)
    this.log('warn', `${code}: ${message}`, { code, ...(error === undefined ? {} : { error: errorText(error) }) })
    this.events.tell('fault', { code, message, ...(error === undefined ? {} : { error }) })
  }

  clear(code: FaultCode): void {
    if (!this.present.delete(code)) return
    this.log('info', `${code}: over`, { code })
    this.events.tell('recovered', { code })
  }

  list(): { code: FaultCode; message: string }[] {
    return [...this.present].map(([code, message]) => ({ code, message }))
  }
}
