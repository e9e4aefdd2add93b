// What prevents the settlement of a rule although its own code did not fail: the database, a statement that cannot run, a bug in this package. Each is
// reported as a fault, no attempt is counted, and the orders go back. A rule whose statements cannot run is suspended until a sweep's check
// passes, or for a minute if no sweep runs.

import { errorText } from '../../error-text.js'
import { OrderTimersError } from '../../errors.js'
import type { BoundRule } from '../../rules/rule.js'
import { type FaultOwner, faultOwnerOf } from '../../sequelize/fault-owner.js'
import { isPoolExhausted, POOL_REMEDY } from '../../sequelize/pool-exhausted.js'
import { remedyOf } from '../../sequelize/wrong-statement.js'
import type { Faults } from '../faults.js'
import type { Lanes } from './lanes.js'

/** Tasks for a rule besides settling. */
type Task = 'alarm' | 'deliveries'

export class RuleHealth {
  /**
   * Rules with a failed statement although the check finds nothing wrong, and how many checks have passed since. It is over when a batch is
   * settled, or when the orders have had the time from one check to the next to fail again.
   */
  private readonly unexplained = new Map<string, number>()

  /** By kind: the reported problems that do not stop the rule. */
  private readonly partial = new Map<string, ReadonlySet<string>>()

  /** By kind: tasks that fail because of a bug in this package. A settled batch does not show that this is over. */
  private readonly failingTasks = new Map<string, Set<Task>>()

  constructor(
    private readonly faults: Faults,
    private readonly lanes: Lanes,
  ) {}

  /** A batch failed. @returns milliseconds until its orders go back */
  async failed(rule: BoundRule, owner: Exclude<FaultOwner, 'rule'>, error: unknown): Promise<number> {
    const { kind } = rule
    const lane = this.lanes.ofKind(kind)
    if (owner === 'configuration') {
      lane.suspend()
      await this.explain(rule, error)
    } else if (owner === 'internal') {
      const message = `${kind}: a bug in express-order-timers; orders are kept and tried again, and no attempt is counted`
      const remedy = 'look at the cause, and report it with the versions of this package, Sequelize and Node'
      this.faults.raise('INTERNAL', { kind, message, remedy, error })
    } else {
      const isExhausted = isPoolExhausted(error)
      const what = isExhausted ? "Sequelize's pool had no free connection in time" : 'the database is in trouble'
      const message = `${kind}: ${what}, orders are kept and tried again`
      this.faults.raise('POSTGRES_UNAVAILABLE', { kind, message, error, ...(isExhausted && { remedy: POOL_REMEDY }) })
    }
    return lane.pause()
  }

  /**
   * A task failed. Database failures are left to settling, which has the same.
   * @returns whether it was reported
   */
  async taskFailed(task: Task, rule: BoundRule, error: unknown): Promise<boolean> {
    const owner = faultOwnerOf(error)
    if (owner === 'database' || owner === 'rule') return false
    if (owner === 'internal') this.failingTasks.set(rule.kind, (this.failingTasks.get(rule.kind) ?? new Set()).add(task))
    await this.failed(rule, owner, error)
    return true
  }

  taskSucceeded(task: Task, kind: string): void {
    const failing = this.failingTasks.get(kind)
    if (!failing?.delete(task) || failing.size > 0) return
    this.failingTasks.delete(kind)
    this.faults.clear('INTERNAL', kind)
  }

  /** A sweep of the rule ended without an error. */
  swept(kind: string): void {
    for (const code of ['SWEEP_FAILED', 'POSTGRES_UNAVAILABLE'] as const) this.faults.clear(code, kind)
    this.clearInternal(kind)
  }

  /** A batch was settled. */
  settled({ kind, row }: BoundRule): void {
    if (row) this.faults.clear('POSTGRES_UNAVAILABLE', kind)
    this.clearInternal(kind)
    // A batch that began before the rule was suspended does not show that the problem is over.
    if (this.unexplained.delete(kind) || !this.lanes.ofKind(kind).suspended) this.faults.clear('INVALID_MODEL', kind)
  }

  /** The check of the rule's tables and statements found nothing wrong: the rule is no longer suspended. */
  checkPassed(kind: string): void {
    this.lanes.ofKind(kind).resume()
    const passed = this.unexplained.get(kind)
    if (passed === 0) {
      this.unexplained.set(kind, 1)
      return
    }
    this.unexplained.delete(kind)
    this.faults.clear('INVALID_MODEL', kind)
  }

  /** @returns problems that do not stop the rule and have not been reported yet */
  newlyPartial(kind: string, problems: readonly OrderTimersError[]): string[] {
    const messages = problems.map(({ message }) => message)
    const said = this.partial.get(kind)
    this.partial.set(kind, new Set(messages))
    return messages.filter((message) => !said?.has(message))
  }

  checkFailed(kind: string, problems: readonly OrderTimersError[]): void {
    this.unexplained.delete(kind)
    this.lanes.ofKind(kind).suspend()
    this.faults.raise('INVALID_MODEL', { kind, message: problems.map(({ message }) => message).join('\n') })
  }

  /** Whether a statement or a check of the rule failed, and no later check has passed. */
  isBroken(kind: string): boolean {
    return this.lanes.ofKind(kind).suspended || this.faults.has('INVALID_MODEL', kind)
  }

  private clearInternal(kind: string): void {
    if (!this.failingTasks.has(kind)) this.faults.clear('INTERNAL', kind)
  }

  /** Reports the problems that the check finds; if it finds none, Postgres's error. */
  private async explain({ kind, row }: BoundRule, error: unknown): Promise<void> {
    const problems = error instanceof OrderTimersError ? [error] : ((await row?.look())?.wrong ?? [])
    if (problems.length > 0) return this.checkFailed(kind, problems)
    this.unexplained.set(kind, 0)
    this.faults.raise('INVALID_MODEL', {
      kind,
      message: `${kind}: its statement cannot run (${errorText(error)}), so nothing of it is settled; orders are kept`,
      remedy: remedyOf(error, row?.guard.table.table),
      error,
    })
  }
}
