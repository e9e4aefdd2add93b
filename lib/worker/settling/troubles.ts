// What comes of a batch that failed for no fault of the rule's: the fault is told, no attempt is counted, and the orders come back. A rule whose
// statements cannot run rests until a sweep's check passes, or for a minute where no sweep runs.

import { errorText } from '../../error-text.js'
import { OrderTimersError } from '../../errors.js'
import type { BoundRule } from '../../rules/rule.js'
import { type FaultOwner, faultOwnerOf } from '../../sequelize/fault-owner.js'
import { remedyOf } from '../../sequelize/wrong-statement.js'
import type { Faults } from '../faults.js'
import type { Lane } from './lane.js'

/** What works on a rule beside the settling. */
type Part = 'alarm' | 'deliveries'

export class Troubles {
  /** Rules that failed on a statement in which a look finds nothing wrong: only a batch that is settled shows that this is over. */
  private readonly unexplained = new Set<string>()

  /** Parts that fail on a fault of ours, by kind: a batch that is settled does not show that this is over. */
  private readonly failing = new Map<string, Set<Part>>()

  constructor(
    private readonly faults: Faults,
    private readonly lane: (kind: string) => Lane,
  ) {}

  /** @returns milliseconds until the orders come back */
  async note(rule: BoundRule, whose: Exclude<FaultOwner, 'rule'>, error: unknown): Promise<number> {
    const { kind } = rule
    const lane = this.lane(kind)
    if (whose === 'configuration') {
      lane.suspend()
      await this.noteWrong(rule, error)
    } else if (whose === 'internal') {
      const remedy = 'look at the cause, and report it with the versions of this package, Sequelize and Node'
      this.faults.raise('INTERNAL', {
        kind,
        message: `${kind}: a fault of express-order-timers itself; orders are kept and tried again, and no attempt is counted`,
        remedy,
        error,
      })
    } else {
      const message = `${kind}: the database is in trouble, orders are kept and tried again`
      this.faults.raise('POSTGRES_UNAVAILABLE', { kind, message, error })
    }
    return lane.rest()
  }

  /**
   * Of a part of the worker that works on a rule beside the settling: what it failed on. The database's trouble is told by whoever settles.
   * @returns whether it was told
   */
  async noteOf(part: Part, rule: BoundRule, error: unknown): Promise<boolean> {
    const whose = faultOwnerOf(error)
    if (whose === 'database' || whose === 'rule') return false
    if (whose === 'internal') this.failing.set(rule.kind, (this.failing.get(rule.kind) ?? new Set()).add(part))
    await this.note(rule, whose, error)
    return true
  }

  /** That part did its work on the rule. */
  works(part: Part, kind: string): void {
    const parts = this.failing.get(kind)
    if (!parts?.delete(part) || parts.size > 0) return
    this.failing.delete(kind)
    this.faults.clear('INTERNAL', kind)
  }

  /** A sweep was carried out. */
  swept(kind: string): void {
    for (const code of ['SWEEP_FAILED', 'POSTGRES_UNAVAILABLE'] as const) this.faults.clear(code, kind)
    this.clearInternal(kind)
  }

  /** A batch was settled. */
  settled({ kind, row }: BoundRule): void {
    if (row) this.faults.clear('POSTGRES_UNAVAILABLE', kind)
    this.clearInternal(kind)
    if (this.unexplained.delete(kind)) this.faults.clear('INVALID_MODEL', kind)
  }

  /** A look at the rule found nothing wrong: it may go on. */
  lookedRight(kind: string): void {
    this.lane(kind).resume()
    if (!this.unexplained.has(kind)) this.faults.clear('INVALID_MODEL', kind)
  }

  /** A look at the rule found something wrong. */
  lookedWrong(kind: string, wrong: readonly OrderTimersError[]): void {
    this.unexplained.delete(kind)
    this.lane(kind).suspend()
    this.faults.raise('INVALID_MODEL', { kind, message: wrong.map(({ message }) => message).join('\n') })
  }

  /** Whether a rule rests, and must be looked at as a whole before it goes on. */
  rests(kind: string): boolean {
    return this.lane(kind).suspended || this.faults.has('INVALID_MODEL', kind)
  }

  private clearInternal(kind: string): void {
    if (!this.failing.has(kind)) this.faults.clear('INTERNAL', kind)
  }

  /** In the words of a look at the table, where that finds what is wrong; else in Postgres's. */
  private async noteWrong({ kind, row }: BoundRule, error: unknown): Promise<void> {
    const wrong = error instanceof OrderTimersError ? [error] : ((await row?.look())?.wrong ?? [])
    if (wrong.length > 0) return this.lookedWrong(kind, wrong)
    this.unexplained.add(kind)
    this.faults.raise('INVALID_MODEL', {
      kind,
      message: `${kind}: its statement cannot run (${errorText(error)}), so nothing of it is settled; orders are kept`,
      remedy: remedyOf(error, row?.guard.table.table),
      error,
    })
  }
}
