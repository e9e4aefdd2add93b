// What a rule is: as declared (looked at as options only), and as bound to its model for the timers and the dispatcher to use.

import type { Model, Transaction } from 'sequelize'
import type { IdParser } from '../ids.js'
import type { Brake } from '../rows/brake.js'
import type { DeadlineWrites } from '../rows/deadline-writes.js'
import type { RowGuard, Status } from '../rows/guard.js'
import type { History } from '../rows/history.js'
import type { LeftDeadlines } from '../rows/left-deadlines.js'
import type { Look } from '../rows/look.js'
import type { Maintenance } from '../rows/maintenance.js'
import type { PendingRows } from '../rows/pending-rows.js'
import type { Settlement, SettleWork } from '../rows/settlement.js'
import type { AfterCommit, RowOptions } from './row-options.js'

/**
 * Where a rule's deadline lives: on the order's row (`deadline`), computed from a column of the row (`since`), or in Redis alone
 * (`redis`: a rule with `deadline: false`; `handler`: a plain function).
 */
export type RuleForm = 'deadline' | 'since' | 'redis' | 'handler'

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
   * @param context the other rules that the settling of this one touches
   * @throws OrderTimersError INVALID_MODEL, INVALID_STATUS
   */
  bind(context: RuleContext): BoundRule
}

/** What a rule is bound with. */
export interface RuleContext {
  /** The rules that hook a model (`auto`), bound. Not to be called before all is bound. */
  autoRules(): readonly BoundRule[]
  /** Settles also what is overdue by more than `staleAfter`. */
  settlesStale?: boolean
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
  /** Milliseconds from now to the deadline where `schedule` is given none; none, or a function of the order, where this is undefined. */
  readonly afterMs: number | undefined
  /** Attempts until a timer is a dead letter. */
  readonly attempts: number
  /** Of a reminder: the rule it belongs to, and how long before its deadline, as declared. */
  readonly reminder?: { of: string; label: string }
  /** Row rules: the model's row of the order. */
  readonly row: RowRule | undefined
  /** Looks at what is due and does what its row says. Ids are canonical. Throws what the rule or the database throws. */
  settle(ids: string[], work: SettleWork): Promise<Settlement>
}

/** A rule over rows: what the timers' calls and the sweep need of it. */
export interface RowRule {
  readonly options: RowOptions
  readonly guard: RowGuard
  readonly writes: DeadlineWrites
  /** What the sweep reads; none where the deadline is in Redis alone. */
  readonly pending: PendingRows | undefined
  /** The attribute that the deadline is counted from, under `since`. */
  readonly since: { attribute: string; afterMs: number } | undefined
  /** The deadline's own attribute, under `deadline`. */
  readonly deadlineAttribute: string | undefined
  /** Of a transition: where it moves orders, and whether it hooks its model. */
  readonly move: Move | undefined
  /** What settling writes beside the status, by attribute. */
  readonly set: Record<string, unknown>
  /** What the sweep writes before it settles: `backfill`, and pauses by declaration. */
  readonly maintenance: Maintenance | undefined
  /** Under `deadline`, where the rule writes: what orders take along when they leave. */
  readonly left: LeftDeadlines | undefined
  readonly brake: Brake | undefined
  readonly history: History | undefined
  readonly afterCommit: AfterCommit<Model> | undefined
  /** Rules of their own, due so long before this one. */
  readonly reminders: readonly ReminderRule[]
  /** @throws OrderTimersError INVALID_MODEL where the database lacks a column or a table of the rule's */
  check(): Promise<void>
  /** A look at the tables and the statements; briefly, where they were found right a short while ago. */
  look(briefly?: boolean): Promise<Look>
  /**
   * For what reads an instant from an instance. @returns undefined where nothing is to be waited for
   * @throws OrderTimersError INVALID_MODEL (as a rejection) where the column of `since` has no time zone
   */
  requireInstants(): Promise<void> | undefined
  /** Has Postgres plan, on this transaction's connection, the statement that settles; carries out nothing. */
  plan(transaction: Transaction): Promise<void>
  /** Has Postgres plan all statements of settling, on an explaining transaction. */
  explain(transaction: Transaction): Promise<void>
  /** The order as its row on the primary has it, as an instance, whatever scopes its model has; null where there is no such row. */
  find(id: string, transaction: Transaction | undefined): Promise<Model | null>
  /** Where `after` is a function: milliseconds to the deadline of this order, null for none. @throws OrderTimersError INVALID_DURATION */
  afterOf: ((order: Model) => number | null) | undefined
}

export interface Move {
  status: string
  from: readonly Status[]
  to: Status
  auto: boolean
  /** Whether settling saves instances, one by one, so that all that hooks the model sees them. */
  individualHooks: boolean
}

export interface ReminderRule extends BoundRule {
  readonly beforeMs: number
}
