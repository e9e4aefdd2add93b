// Who a process is, in everything that it leaves behind: its beat, its claims, the history and its log.

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

export class Identity {
  readonly host = hostname()
  readonly pid = process.pid
  /**
   * Host, process id and six random characters. In a container the first two are often those of the process that was killed a moment ago.
   */
  readonly id = `${this.host}:${this.pid}:${randomBytes(3).toString('hex')}`
  /** When the process began, by its own clock. */
  readonly startedAt = new Date(Math.round(performance.timeOrigin))
  private tokens = 0

  /** A name that nothing else has or had: for a claim, for a worker. */
  token(): string {
    this.tokens += 1
    return `${this.id}:${this.tokens.toString(36)}`
  }
}
