// What a rule is: as declared (its options parsed, its model not touched), and as bound to its model for the timers and the worker to use.

import type { Model } from 'sequelize'
import type { IdParser } from '../ids.js'
import type { Description } from '../rows/row-options.js'
import type { ColumnDeadline, Move, ReminderRows, RowRule, SinceDeadline, SweptRows } from '../rows/row-rule.js'
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
  bind(options?: BindOptions): ShopRule
}

export interface BindOptions {
  /** Settles also what is overdue by more than `staleAfter`; no order gets a deadline meanwhile, that would be settled unseen. */
  settlesStale?: boolean
}

/** What is the same of everything that can be settled. */
interface Settleable {
  readonly kind: string
  readonly description: Description | undefined
  readonly parseId: IdParser
  /** Whether code of the shop's own runs while it is settled. */
  readonly runsOwnCode: boolean
  /** How many ids one claim takes at most. */
  readonly batchSize: number
  /** Milliseconds until a running batch is aborted. */
  readonly timeoutMs: number
  /** Attempts until a timer is a dead letter. */
  readonly attempts: number
  /** Rules of their own, due so long before this one; a reminder has none. */
  readonly reminders: readonly ReminderRule[]
  /** Looks at what is due and does what its row says. Ids are canonical. Throws what the rule or the database throws. */
  settle(ids: string[], work: SettleWork): Promise<Settlement>
}

/** A plain function: nothing on a row guards it. */
export interface HandlerRule extends Settleable {
  readonly row: undefined
  readonly reminder: undefined
}

/** A transition or an effect. */
export interface OrderRule extends Settleable {
  readonly row: RowRule
  readonly reminder: undefined
}

export interface ReminderRule extends Settleable {
  readonly row: ReminderRows
  /** The rule that it belongs to, and how long before its deadline, as declared. */
  readonly reminder: { of: string; label: string }
  readonly beforeMs: number
}

/** A rule that the shop has declared, bound. */
export type ShopRule = HandlerRule | OrderRule

/** Everything that a worker settles: rules, and their reminders. */
export type BoundRule = ShopRule | ReminderRule

/** A rule, or a reminder, whose deadlines the rows know, so that the sweep finds what Redis lost. */
export type SweptRule = (OrderRule | ReminderRule) & { readonly row: SweptRows }

export function isSwept(rule: BoundRule | undefined): rule is SweptRule {
  return rule?.row !== undefined && rule.row.deadline.in !== 'redis'
}

/** A transition with `auto`: its timers start and end with the statements that move its orders. */
export type HookingRule = OrderRule & { readonly row: { readonly move: Move; readonly deadline: ColumnDeadline | SinceDeadline } }

export function isHooking(rule: BoundRule): rule is HookingRule {
  return rule.row?.move?.auto === true
}
