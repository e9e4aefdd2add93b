// Notices that this process did not run for a while (SIGSTOP, a blocked event loop). Answers seemed missing in that time because it did not read them.

const LOOK_EVERY_MS = 250

/** If a check is later than this, the process counts as having stood still. */
const STOPPED_MS = 750

/** How long afterwards silence proves nothing. */
const DOUBT_MS = 2_000

export class Standstill {
  private timer: NodeJS.Timeout | undefined
  private lookedAt = performance.now()
  private wokeAt = Number.NEGATIVE_INFINITY
  private stoodFrom = 0

  start(): void {
    this.lookedAt = performance.now()
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS)
  }

  stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  /** Whether it stood still until a moment ago. */
  get justWoke(): boolean {
    if (this.timer) this.look()
    return performance.now() - this.wokeAt < DOUBT_MS
  }

  /** Since when what is read now may have been there, by `performance.now()`: the beginning of a standstill that ended a moment ago, or now. */
  get unreadSince(): number {
    return this.justWoke ? this.stoodFrom : performance.now()
  }

  private look(): void {
    const now = performance.now()
    if (now - this.lookedAt > LOOK_EVERY_MS + STOPPED_MS) {
      this.wokeAt = now
      this.stoodFrom = this.lookedAt
    }
    this.lookedAt = now
  }
}
