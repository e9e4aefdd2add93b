// What comes of a batch that failed for no fault of the rule's: the fault is told, no attempt is counted, and the orders come back. A rule whose
// statements cannot run rests until a sweep's check passes, or for a minute where no sweep runs.

import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'
import type { BoundRule } from '../rules/rule.js'
import type { Whose } from '../sequelize/whose-fault.js'
import { remedyOf } from '../sequelize/wrong-statement.js'
import type { Faults } from './faults.js'
import type { Lane } from './lane.js'

/** Faults that a batch which was settled shows to be over. */
const OVER = ['POSTGRES_UNAVAILABLE', 'INTERNAL'] as const

export class Troubles {
  /** Rules that failed on a statement in which a look finds nothing wrong: only a batch that is settled shows that this is over. */
  private readonly unexplained = new Set<string>()

  constructor(
    private readonly faults: Faults,
    private readonly lane: (kind: string) => Lane,
  ) {}

  /** @returns milliseconds until the orders come back */
  async note(rule: BoundRule, whose: Exclude<Whose, 'rule'>, error: unknown): Promise<number> {
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

  /** A batch was settled. */
  settled({ kind, row }: BoundRule): void {
    if (row) for (const code of OVER) this.faults.clear(code, kind)
    else this.faults.clear('INTERNAL', kind)
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
