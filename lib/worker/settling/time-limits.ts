// The time limit of each settlement and each delivery. At the limit the shop's code gets the abort signal, and its slot is freed at once: its
// promise may never settle.

import type { BoundRule } from '../../rules/rule.js'
import { afterRunning } from '../../wait.js'

/** The abort reason at the rule's `timeout`. */
export class TookTooLong extends Error {}

export class TimeLimits {
  private readonly running = new Set<AbortController>()
  /** The reason given to `abortAll`. */
  over: Error | undefined

  /** @throws what `work` throws, TookTooLong, or the reason given to `abortAll` */
  async run<T>({ kind, timeoutMs }: BoundRule, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.over) throw this.over
    const attempt = new AbortController()
    const cancel = afterRunning(timeoutMs, () =>
      attempt.abort(new TookTooLong(`"${kind}" took longer than its timeout of ${timeoutMs} ms`)),
    )
    this.running.add(attempt)
    const aborted = new Promise<never>((_, reject) => {
      attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason))
    })
    try {
      return await Promise.race([work(attempt.signal), aborted])
    } finally {
      cancel()
      this.running.delete(attempt)
    }
  }

  /** From now on nothing begins any more. */
  abortAll(reason: Error): void {
    this.over = reason
    for (const attempt of this.running) attempt.abort(reason)
  }
}
