// Whether Redis answers on a connection, and if not, why. Each change is reported once, however many commands fail of it.

import { Listeners } from '../listeners.js'
import { isReply, replyWord } from './replies.js'
import { CLOSED, explain } from './trouble.js'

/** A wait that exceeds its limit by this much shows that this process did not run meanwhile (SIGSTOP, a blocked event loop). */
const STOOD_STILL_MS = 750

/** How long after that a missing answer proves nothing about Redis. */
const DOUBT_MS = 1_000

export class Availability {
  /** False from the first unanswered command or lost connection until Redis answers again. */
  answering = false
  /** Why Redis does not answer, as far as is known. */
  trouble: unknown
  /** What was reported when Redis stopped answering: a fault's code, and the word of Redis's reply, if there is one. */
  private reported: string | undefined
  private stoodStillAt = Number.NEGATIVE_INFINITY
  private readonly upListeners = new Listeners()
  private readonly downListeners = new Listeners<[error: unknown]>()

  constructor(private readonly where: string) {}

  /** Whether this process stood still until a moment ago, and may itself be the reason for the silence. */
  get justWoke(): boolean {
    return performance.now() - this.stoodStillAt < DOUBT_MS
  }

  /** Called when Redis answers again. */
  onUp(listener: () => void): () => void {
    return this.upListeners.add(listener)
  }

  /** Called when Redis stops answering, and when the reason changes; at once if Redis already does not answer. */
  onDown(listener: (error: unknown) => void): () => void {
    const remove = this.downListeners.add(listener)
    if (this.reported) listener(this.trouble)
    return remove
  }

  /** Redis answers. */
  up(): void {
    if (this.answering) return
    this.answering = true
    this.reported = undefined
    this.trouble = undefined
    this.upListeners.call()
  }

  /** Redis does not answer. @param error undefined if a connection was closed without a reason */
  down(error: unknown = CLOSED): void {
    this.trouble = error
    // A better reason than that it was closed is reported too.
    const reason = `${explain(error, this.where).code} ${isReply(error) ? replyWord(error) : error === CLOSED ? 'closed' : ''}`
    if (this.reported === reason) return
    this.answering = false
    this.reported = reason
    this.downListeners.call(error)
  }

  /** Reports the same reason once more if it persists. */
  reportAgain(): void {
    this.reported = undefined
  }

  /** A wait has ended. One that took far longer than its limit shows that this process did not run meanwhile. */
  noteWait(startedAt: number, limitMs: number): void {
    if (performance.now() - startedAt > limitMs + STOOD_STILL_MS) this.stoodStillAt = performance.now()
  }

  clearListeners(): void {
    this.upListeners.clear()
    this.downListeners.clear()
  }
}
