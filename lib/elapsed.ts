// Time that has passed since a moment, for questions such as "has the lease lapsed?": never less than it really was. The monotonic clock
// runs on while the process is stopped (SIGSTOP) but stands still while the machine is suspended; the wall clock does not, but may be set.

export class Moment {
  private readonly monotonic: number
  private readonly wall: number

  /** Now, or so many milliseconds ago. */
  constructor(agoMs = 0) {
    this.monotonic = performance.now() - agoMs
    this.wall = Date.now() - agoMs
  }

  /** Milliseconds since then, by whichever clock says more. A wall clock that was set forward makes it more than it was. */
  passedMs(): number {
    return Math.max(performance.now() - this.monotonic, Date.now() - this.wall)
  }
}
