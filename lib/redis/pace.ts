// Limits how often something is done that many may ask for: the first times at once, then at an interval.

/** How many times in a row are done at once. */
const AT_ONCE = 2
const EVERY_MS = 1_000

export class Pace {
  /** How many times in a row it was done. */
  private times = 0
  private lastAt = Number.NEGATIVE_INFINITY
  private later: NodeJS.Timeout | undefined

  /** Does it now or after a delay; one delayed call serves all who ask in between. */
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
