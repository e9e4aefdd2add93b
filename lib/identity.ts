// The identity of a process, in its heartbeats, its claims, the history and its log.

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

export class Identity {
  readonly host = hostname()
  readonly pid = process.pid
  /**
   * Host, process id and six random characters. In a container the first two often equal those of the previous process.
   */
  readonly id = `${this.host}:${this.pid}:${randomBytes(3).toString('hex')}`
  /** When the process began, by its own clock. */
  readonly startedAt = new Date(Math.round(performance.timeOrigin))
  private tokens = 0

  /** A unique name, for a claim or a worker. */
  token(): string {
    this.tokens += 1
    return `${this.id}:${this.tokens.toString(36)}`
  }
}
