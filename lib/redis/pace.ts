// Limits how often an action runs that many callers may request: the first times at once, then at an interval.

/** How many runs in a row are not delayed. */
const AT_ONCE = 2
const EVERY_MS = 1_000

export class Pace {
  /** How many runs in a row there were. */
  private times = 0
  private lastAt = Number.NEGATIVE_INFINITY
  private later: NodeJS.Timeout | undefined

  /** Runs it now or after a delay; one delayed run serves all requests in between. */
  ask(act: () => void): void {
    const now = performance.now()
    if (now - this.lastAt > EVERY_MS) this.times = 0
    if (this.times < AT_ONCE) {
      this.times += 1
      this.lastAt = now
      act()
      return
    }
    this.later ??= setTimeout(() => {
      this.later = undefined
      this.lastAt = performance.now()
      act()
    }, EVERY_MS / 2).unref()
  }

  stop(): void {
    clearTimeout(this.later)
  }
}
