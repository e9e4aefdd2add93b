// A rule's own failures: counted, logged and told, each order by itself.

import type { Log } from '../../logger.js'
import type { BoundRule } from '../../rules/rule.js'
import { errorText, type WorkerEmitter } from '../events.js'
import type { KindCounters } from './counters.js'

/** What comes of it: another attempt after so many milliseconds, none since it comes once at most, or none any more. */
export type Next = { retryInMs: number } | 'once' | 'dead'

export class Failures {
  constructor(
    private readonly counters: ReadonlyMap<string, KindCounters>,
    private readonly events: WorkerEmitter,
    private readonly log: Log,
  ) {}

  /** @param work what failed, where it is not the settling itself */
  tell({ kind, attempts: most }: BoundRule, id: string, error: unknown, attempts: number, next: Next, work = ''): void {
    const counters = this.counters.get(kind) as KindCounters
    const order = `${kind} ${id}${work && `: ${work}`}`
    counters.failed += 1
    if (next === 'dead') {
      counters.dead += 1
      this.log('error', `${order}: dead letter after ${attempts} attempts: ${errorText(error)}`, {
        code: 'DEAD_LETTER',
        kind,
        id,
        attempts,
      })
      this.events.tell('dead', { kind, id, error, attempts })
      return
    }
    const retryInMs = next === 'once' ? null : next.retryInMs
    const text = retryInMs === null ? 'failed, and is not tried again' : `attempt ${attempts} of ${most} failed`
    this.log(retryInMs === null ? 'error' : 'warn', `${order}: ${text}: ${errorText(error)}`, {
      ...{ code: 'RULE_FAILED', kind, id, attempts, retryInMs },
    })
    this.events.tell('failed', { kind, id, error, attempts, retryInMs })
  }
}
