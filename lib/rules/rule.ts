// What a rule is: as declared (looked at as options only), and as bound to its model for the timers and the dispatcher to use.

import type { Model } from 'sequelize'
import type { IdParser } from '../ids.js'
import type { Description } from '../rows/row-options.js'
import type { RowRule } from '../rows/row-rule.js'
import type { Settlement, SettleWork } from '../rows/settlement.js'
import type { RuleForm } from './form.js'

/** A rule as a shop writes it: what `transition(…)` and `effect(…)` return. */
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
  /** Whether it hooks its model, which the shop gave as this. */
  readonly auto: { source: unknown } | undefined
  /**
   * Binds the rule to its model, by itself. What settling it means for other rules is linked afterwards (auto/cascade.ts).
   * @throws OrderTimersError INVALID_MODEL, INVALID_STATUS
   */
  bind(options?: BindOptions): BoundRule
}

export interface BindOptions {
  /** Settles also what is overdue by more than `staleAfter`. */
  settlesStale?: boolean
}

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
  /** Milliseconds from now to the deadline where `schedule` is given none; none, or a function of the order, where this is undefined. */
  readonly afterMs: number | undefined
  /** Attempts until a timer is a dead letter. */
  readonly attempts: number
  /** Of a reminder: the rule it belongs to, and how long before its deadline, as declared. */
  readonly reminder?: { of: string; label: string }
  /** Row rules: the model's row of the order. */
  readonly row: RowRule | undefined
  /** Rules of their own, due so long before this one. */
  readonly reminders: readonly ReminderRule[]
  /** Looks at what is due and does what its row says. Ids are canonical. Throws what the rule or the database throws. */
  settle(ids: string[], work: SettleWork): Promise<Settlement>
}

export interface ReminderRule extends BoundRule {
  readonly beforeMs: number
}
