// An estimate of a server's clock from readings with their round trip, carried forward by the process's monotonic clock. The process's wall
// clock, which may be hours off and may jump, is not used.

/** Assumed drift between two clocks, as a share of the time passed. RFC 5905 assumes 15 millionths for one clock under NTP. */
const DRIFT = 0.000_05

/** If a reading differs by more than this beyond the uncertainty, the server's clock was set. */
const STEP_MS = 5

export class ClockEstimate {
  /** Server's milliseconds minus `performance.now()`. */
  private offset: number | undefined
  private uncertainty = Number.POSITIVE_INFINITY
  private notedAt = 0

  /** Adds a reading, requested and answered at these values of `performance.now()`, unless the present one is more exact. */
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

  /** The maximum error of the reading in use when it was taken, milliseconds: half its round trip; infinite before the first reading. */
  get readingError(): number {
    return this.uncertainty
  }

  /** The maximum error of the estimate, milliseconds; infinite before the first reading. */
  get error(): number {
    return this.errorAt(performance.now())
  }

  /** The minimum by which `ownMs` is ahead of the server's clock, whole milliseconds; undefined before the first reading. */
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
