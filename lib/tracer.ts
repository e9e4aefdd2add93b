// What `express-order-timers/tracing` puts into the timers, so that nothing here needs to know of OpenTelemetry. Without it nothing of this runs.

export interface Tracer {
  /** Around one call of `schedule`. */
  schedule<T extends ScheduledTimer>(kind: string, call: () => Promise<T>): Promise<T>
  /** One batch, of so many orders, is about to be settled. @param via by which path it came */
  batch(kind: string, count: number, via: string): TracedBatch
}

export interface ScheduledTimer {
  id: string
  deadline: Date | null
}

export interface TracedBatch {
  /** Does a part of the batch's work, so that what it does is a part of its trace. */
  run<T>(work: () => Promise<T>): Promise<T>
  /** @param settled each with its deadline, in milliseconds since 1970 */
  end(settled: readonly { id: string; deadline: number | null }[]): void
  fail(error: unknown): void
}
