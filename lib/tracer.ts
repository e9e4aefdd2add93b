// The interface that `express-order-timers/tracing` implements, so that the timers do not depend on OpenTelemetry. Without tracing it is not used.

export interface Tracer {
  /** Wraps one call of `schedule`. */
  schedule<T extends ScheduledTimer>(kind: string, call: () => Promise<T>): Promise<T>
  /** A batch of `size` orders is about to be settled. @param via the path that brought it */
  batch(kind: string, count: number, via: string): TracedBatch
}

export interface ScheduledTimer {
  id: string
  deadline: Date | null
}

export interface TracedBatch {
  /** Runs a part of the batch's work within its trace. */
  run<T>(work: () => Promise<T>): Promise<T>
  /** @param settled each with its deadline, in milliseconds since 1970 */
  end(settled: readonly { id: string; deadline: number | null }[]): void
  fail(error: unknown): void
}
