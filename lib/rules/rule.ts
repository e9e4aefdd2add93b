// The stages of a rule: as a shop writes it, as declared (its options are parsed, its model is not used yet), and as bound to its model, which is
// what the timers and the worker use. What settling one rule means for others is linked after that, in lib/auto/cascade.ts.

import type { Model } from 'sequelize'
import type { IdParser } from '../ids.js'
import type { Description } from '../rows/row-options.js'
import type { ColumnDeadline, Move, ReminderRows, RowRule, SinceDeadline, SweptRows } from '../rows/row-rule.js'
import type { Settlement, SettleWork } from '../rows/settlement.js'
import type { RuleForm } from './form.js'

/** A rule as a shop writes it: what `transition(…)` and `effect(…)` return. */
export interface Rule<Form extends RuleForm = RuleForm, M extends Model = Model> {
  readonly form: Form
  /** @internal parses the options, under the rule's name */
  declare(kind: string): DeclaredRule
  /** @internal for inference alone */
  readonly _model?: M
}

/** A rule whose options are parsed. Its model is not used yet. */
export interface DeclaredRule {
  readonly kind: string
  readonly form: RuleForm
  /** Equal in processes whose rule has the same declared values. */
  readonly fingerprint: string
  /** The model as the shop gave it, and the attribute in which the rule keeps its deadlines: no other rule may write it. */
  readonly deadline: { source: unknown; attribute: string } | undefined
  /** The model as the shop gave it, if the rule hooks it (`auto`). */
  readonly auto: { source: unknown } | undefined
  /**
   * Binds the rule to its model, independently of other rules.
   * @throws OrderTimersError INVALID_MODEL, INVALID_STATUS
   */
  bind(options?: BindOptions): ShopRule
}

export interface BindOptions {
  /** The prefix of the timers' keys, also used in Postgres. Default: none. */
  prefix?: string
  /** Also settles what is overdue by more than `staleAfter`. It does not backfill, since nobody has seen those deadlines. */
  settlesStale?: boolean
}

/** What the dispatcher needs for everything that it settles. */
interface Settleable {
  readonly kind: string
  readonly description: Description | undefined
  readonly parseId: IdParser
  /** Whether the shop's own code runs in the settlement. */
  readonly runsOwnCode: boolean
  /** How many ids one claim takes at most. */
  readonly batchSize: number
  /** And while the shop's code is quick; undefined if always as many. */
  readonly quickBatchSize?: number | undefined
  /** Milliseconds until a running batch is aborted. */
  readonly timeoutMs: number
  /** Attempts until a timer is a dead letter. */
  readonly attempts: number
  /** Reminders are settled like rules. A handler and a reminder have none. */
  readonly reminders: readonly ReminderRule[]
  /**
   * Settles the orders whose rows show that they are due.
   * @param ids as `parseId` returns them
   * @throws what the rule or the database throws
   */
  settle(ids: string[], work: SettleWork): Promise<Settlement>
}

/** A plain function. No row guards it. */
export interface HandlerRule extends Settleable {
  readonly row: undefined
  readonly reminder: undefined
}

/** A transition or an effect. */
export interface OrderRule extends Settleable {
  readonly row: RowRule
  readonly reminder: undefined
}

/** A reminder. It changes no order. */
export interface ReminderRule extends Settleable {
  readonly row: ReminderRows
  /** The kind of its rule, and `before` as it was declared. */
  readonly reminder: { of: string; label: string }
  readonly beforeMs: number
}

/** A rule that the shop has declared, bound. */
export type ShopRule = HandlerRule | OrderRule

/** Everything that a worker settles: rules, and their reminders. */
export type BoundRule = ShopRule | ReminderRule

/** A rule or a reminder whose deadlines are on the rows, so that the sweep finds what Redis lost. */
export type SweptRule = (OrderRule | ReminderRule) & { readonly row: SweptRows }

export function isSwept(rule: BoundRule | undefined): rule is SweptRule {
  return rule?.row !== undefined && rule.row.deadline.in !== 'redis'
}

/** A transition with `auto`: the statements that move its orders start and end their timers. */
export type HookingRule = OrderRule & { readonly row: { readonly move: Move; readonly deadline: ColumnDeadline | SinceDeadline } }

export function isHooking(rule: BoundRule): rule is HookingRule {
  return rule.row?.move?.auto === true
}
