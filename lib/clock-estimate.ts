// An estimate of a server's clock from readings with their round trip, carried forward by the process's monotonic clock. The process's wall
// clock, which may be hours off and may jump, is not used.

/** Assumed drift between two clocks, as a share of the time passed. RFC 5905 assumes 15 millionths for one clock under NTP. */
const DRIFT = 0.000_05

/** A difference that exceeds the uncertainty by more than this means that the server's clock was set. */
const STEP_MS = 5

export class ClockEstimate {
  /** Server's milliseconds minus `performance.now()`. */
  private offset: number | undefined
  private uncertainty = Number.POSITIVE_INFINITY
  private notedAt = 0

  /** Takes a reading, asked for and answered at these values of `performance.now()`, unless the present one is more exact. */
  note(serverMs: number, askedAt: number, answeredAt: number): void {
    const offset = serverMs - (askedAt + answeredAt) / 2
    const uncertainty = (answeredAt - askedAt) / 2
    const known = this.errorAt(answeredAt)
    const stepped = this.offset !== undefined && Math.abs(offset - this.offset) > uncertainty + known + STEP_MS
    if (uncertainty > known && !stepped) return
    this.offset = offset
    this.uncertainty = uncertainty
    this.notedAt = answeredAt
  }

  /** Milliseconds of the server's clock, with fractions; undefined before the first reading. */
  now(): number | undefined {
    return this.offset === undefined ? undefined : performance.now() + this.offset
  }

  /** Milliseconds since the reading that is in use. */
  get age(): number {
    return performance.now() - this.notedAt
  }

  /** By how many milliseconds the reading in use may have been wrong when it was taken: half its round trip; infinite before the first reading. */
  get readingError(): number {
    return this.uncertainty
  }

  /** By how many milliseconds the estimate may be wrong; infinite before the first reading. */
  get error(): number {
    return this.errorAt(performance.now())
  }

  /** How far `ownMs` is ahead of the server's clock at least, whole milliseconds; undefined before the first reading. */
  leastAhead(ownMs: number): number | undefined {
    const now = this.now()
    if (now === undefined) return undefined
    const ahead = ownMs - now
    return Math.round(Math.sign(ahead) * Math.max(0, Math.abs(ahead) - this.error))
  }

  forget(): void {
    this.offset = undefined
    this.uncertainty = Number.POSITIVE_INFINITY
  }

  private errorAt(moment: number): number {
    return this.uncertainty + (moment - this.notedAt) * DRIFT
  }
}
