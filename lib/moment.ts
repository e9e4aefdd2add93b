// A point in time, for questions such as "has the lease expired?". The elapsed time is never underestimated: the monotonic clock
// stops while the machine is suspended, and the wall clock may be set back, so the larger of the two differences counts.

export class Moment {
  private readonly monotonic: number
  private readonly wall: number

  /** Now, or the given number of milliseconds ago. */
  constructor(agoMs = 0) {
    this.monotonic = performance.now() - agoMs
    this.wall = Date.now() - agoMs
  }

  /** Milliseconds since then. Too many if the wall clock was set forward. */
  passedMs(): number {
    return Math.max(performance.now() - this.monotonic, Date.now() - this.wall)
  }
}
