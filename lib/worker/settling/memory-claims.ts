// Claims in this process's memory, for the sweep while Redis does not answer. Between workers only the guard in the UPDATE decides.

import type { Moment } from '../../moment.js'
import type { Failure } from '../../redis/failed-timers.js'
import type { BoundRule } from '../../rules/rule.js'
import { leaseInMemory } from './lease.js'
import type { Work } from './work.js'

/** Beyond these the earliest are forgotten, and their orders tried again: orders that have left are not noticed here. */
const MOST_FAILURES = 10_000

interface Failed {
  failure: Failure
  retryAt: number
  deadline: number | undefined
}

/** Overdue orders, with the deadlines that were read from their rows. */
export interface Found {
  ids: readonly string[]
  deadlineOf: (id: string) => number | undefined
}

export class MemoryClaims {
  /** By kind and id. */
  private readonly claimed = new Set<string>()
  private readonly failed = new Map<string, Failed>()

  /**
   * Claims the `ids` that are not claimed and do not wait for their next attempt. Another deadline ends that wait.
   * @param lookedAt when the previous sweep read
   */
  overdue(rule: BoundRule, { ids: overdue, deadlineOf }: Found, lookedAt: Moment): Work {
    const { kind } = rule
    if (this.failed.size > 0) this.forgetFormer(kind, overdue, deadlineOf)
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
      lease: leaseInMemory(),
      failures: async (ids) => this.failures(kind, ids),
      finish: async (dispositions) => {
        for (const name of names) {
          this.claimed.delete(name)
          this.failed.delete(name)
        }
        for (const { id, delayMs, failure } of dispositions) {
          const retryAt = performance.now() + (delayMs ?? Number.POSITIVE_INFINITY)
          if (failure) this.failed.set(`${kind}:${id}`, { failure, retryAt, deadline: deadlineOf(id) })
        }
        for (const name of this.failed.keys()) {
          if (this.failed.size <= MOST_FAILURES) break
          this.failed.delete(name)
        }
      },
    }
  }

  /** Forgets these orders' failures, such as once Redis counts them again. */
  forget(kind: string, ids: readonly string[]): void {
    if (this.failed.size > 0) for (const id of ids) this.failed.delete(`${kind}:${id}`)
  }

  private forgetFormer(kind: string, ids: readonly string[], deadlineOf: Found['deadlineOf']): void {
    for (const id of ids) if (this.failed.get(`${kind}:${id}`)?.deadline !== deadlineOf(id)) this.failed.delete(`${kind}:${id}`)
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
