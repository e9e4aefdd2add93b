// What a rule is: as declared (looked at as options only), and as bound to its model for the timers and the dispatcher to use.

import type { Model } from 'sequelize'
import type { IdParser } from '../ids.js'
import type { DeadlineWrites } from './deadline-writes.js'
import type { PendingRows } from './pending-rows.js'
import type { RowGuard } from './row-guard.js'
import type { Settlement, SettleWork } from './settlement.js'

/**
 * Where a rule's deadline lives: on the order's row (`deadline`), computed from a column of the row (`since`), or in Redis alone
 * (`redis`: a transition with `deadline: false`; `handler`: a plain function).
 */
export type RuleForm = 'deadline' | 'since' | 'redis' | 'handler'

/** A rule as a shop writes it: what `transition(…)` returns. */
export interface Rule<Form extends RuleForm = RuleForm, M extends Model = Model> {
  readonly form: Form
  /** @internal looks at the options, under the rule's name */
  declare(kind: string): DeclaredRule
  /** @internal for inference alone */
  readonly _model?: M
}

/** A rule whose options have been looked at. Its model has not. */
export interface DeclaredRule {
  readonly kind: string
  readonly form: RuleForm
  /** The model it is about, as the shop gave it, and the attribute that this rule alone may write its deadlines to. */
  readonly deadline: { source: unknown; attribute: string } | undefined
  /** Milliseconds from now to the deadline where `schedule` is given none. */
  readonly afterMs: number | undefined
  /** @throws OrderTimersError INVALID_MODEL, INVALID_STATUS */
  bind(): BoundRule
}

/** How a rule speaks of itself in logs: a text, or a function of the order's id. */
export type Description = string | ((id: string) => string)

/** A rule that the dispatcher can settle. */
export interface BoundRule {
  readonly kind: string
  readonly form: RuleForm
  readonly description: Description | undefined
  readonly parseId: IdParser
  /** Whether code of the shop's own runs while it is settled. */
  readonly runsOwnCode: boolean
  /** How many ids one claim takes at most. */
  readonly batchSize: number
  /** Milliseconds until work in hand is given up. */
  readonly timeoutMs: number
  readonly afterMs: number | undefined
  /** Attempts until a timer is a dead letter. */
  readonly attempts: number
  /** Row rules: the model's row of the order. */
  readonly row: RowRule | undefined
  /** Looks at what is due and does what its row says. Ids are canonical. Throws what the rule or the database throws. */
  settle(ids: string[], work: SettleWork): Promise<Settlement>
}

/** A rule over rows: what the timers' calls and the sweep need of it. */
export interface RowRule {
  readonly guard: RowGuard
  readonly writes: DeadlineWrites
  /** What the sweep reads; none where the deadline is in Redis alone. */
  readonly pending: PendingRows | undefined
  /** The attribute that the deadline is counted from, under `since`. */
  readonly since: { attribute: string; afterMs: number } | undefined
  /** The deadline's own attribute, under `deadline`. */
  readonly deadlineAttribute: string | undefined
}
