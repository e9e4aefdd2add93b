// Claims in this process's memory, for the sweep while Redis does not answer. Between workers only the guard in the UPDATE decides.

import type { Moment } from '../../moment.js'
import type { Failure } from '../../redis/failed-timers.js'
import type { BoundRule } from '../../rules/rule.js'
import { NEVER_LAPSES } from './lease.js'
import type { Work } from './work.js'

export class MemoryClaims {
  /** By kind and id. */
  private readonly claimed = new Set<string>()
  private readonly failed = new Map<string, { failure: Failure; retryAt: number }>()

  /** Claims the `ids` that are not claimed and do not wait for their next attempt. @param lookedAt when the previous sweep read */
  overdue(rule: BoundRule, overdue: readonly string[], lookedAt: Moment): Work {
    const { kind } = rule
    const ids = overdue.filter((id) => this.isFree(`${kind}:${id}`))
    const names = ids.map((id) => `${kind}:${id}`)
    for (const name of names) this.claimed.add(name)
    return {
      rule,
      via: 'sweep',
      isBacklog: true,
      ids,
      lookedAt,
      deadlineOf: () => undefined,
      lease: NEVER_LAPSES,
      failures: async (ids) => this.failures(kind, ids),
      finish: async (dispositions) => {
        for (const name of names) {
          this.claimed.delete(name)
          this.failed.delete(name)
        }
        for (const { id, delayMs, failure } of dispositions) {
          if (failure) this.failed.set(`${kind}:${id}`, { failure, retryAt: performance.now() + (delayMs ?? Number.POSITIVE_INFINITY) })
        }
      },
    }
  }

  private isFree(name: string): boolean {
    return !this.claimed.has(name) && (this.failed.get(name)?.retryAt ?? 0) <= performance.now()
  }

  private failures(kind: string, ids: readonly string[]): Map<string, Failure> {
    const found = new Map<string, Failure>()
    for (const id of ids) {
      const failed = this.failed.get(`${kind}:${id}`)
      if (failed) found.set(id, failed.failure)
    }
    return found
  }
}
