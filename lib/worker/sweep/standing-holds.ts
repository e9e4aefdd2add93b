// What a sweep does with the holds of a rule: it skips a held rule, releases a hold whose end has come, and continues the release of a
// process that died. Deadlines are moved in the background. It also reports abandoned bulk runs.

import { OrderTimersError } from '../../errors.js'
import { noteHeldTime } from '../../rows/held-time.js'
import type { Hold } from '../../rows/holds.js'
import type { RowRule } from '../../rows/row-rule.js'
import { RUN_OWNER } from '../../rows/runs-table.js'
import type { BoundRule, OrderRule, ReminderRule } from '../../rules/rule.js'
import { leftRun } from '../../timers/bulk/unfinished.js'
import { carryOut } from '../../timers/hold.js'
import type { Reporter } from '../reporter.js'
import type { Dispatcher } from '../settling/dispatcher.js'

export interface StandingHoldsDependencies {
  prefix: string
  reporter: Reporter
  dispatcher: Dispatcher
  stopping: AbortSignal
  /** Whether further sweeps follow. A single pass waits until the deadlines are moved. */
  comesBack: boolean
  sweepAgain: () => void
  reportError: (rule: BoundRule, error: unknown) => Promise<void>
}

export class StandingHolds {
  private readonly shifts = new Map<string, Promise<void>>()

  constructor(private readonly dependencies: StandingHoldsDependencies) {}

  /** @returns whether the rule is held @throws what Postgres throws */
  async stop(rule: OrderRule | ReminderRule): Promise<boolean> {
    const { dispatcher, reporter } = this.dependencies
    const standing = await this.standing(rule)
    const [hold] = standing
    reporter.onHold(rule, hold)
    if (!rule.reminder) {
      await this.reportLeftRun(rule.kind, rule.row, standing)
      await noteHeldTime(rule.row)
    }
    if (!hold) dispatcher.endRest(rule)
    return hold !== undefined
  }

  /** Resolves when no deadlines are moved any more. */
  async ended(): Promise<void> {
    await Promise.all(this.shifts.values())
  }

  /** The remaining holds, a person's first. */
  private async standing(rule: OrderRule | ReminderRule): Promise<Hold[]> {
    const { holds } = rule.row
    const standing = await holds.standing()
    const own = standing.find(({ owner }) => owner === '')
    if (!own || rule.reminder) return standing
    const isOver = own.state === 'held' && own.untilOver === true
    const release = isOver ? await this.release(rule.row, own) : own
    if (release?.state === 'releasing' && release.end === 'shift') await this.shift(rule, release)
    return isOver || own.end === 'shift' ? holds.standing() : standing
  }

  /** This hold alone: another worker may have released it, and somebody may have placed the next. @returns undefined where none stands any more */
  private async release({ holds }: RowRule, { id, end, graceMs }: Hold): Promise<Hold | undefined> {
    try {
      return await holds.beginRelease(end ?? 'none', { graceMs: graceMs ?? 0, id })
    } catch (error) {
      if (error instanceof OrderTimersError && error.code === 'ERR_ORDER_TIMERS_NOT_HELD') return undefined
      throw error
    }
  }

  private async shift(rule: OrderRule, hold: Hold): Promise<void> {
    const { kind, row } = rule
    const { stopping, comesBack, sweepAgain, reportError } = this.dependencies
    if (!comesBack) {
      await carryOut(row, hold, stopping)
      return
    }
    if (this.shifts.has(kind)) return
    const shift = carryOut(row, hold, stopping).then(
      () => stopping.aborted || sweepAgain(),
      (error) => (stopping.aborted ? undefined : reportError(rule, error)),
    )
    this.shifts.set(
      kind,
      shift.then(() => void this.shifts.delete(kind)),
    )
  }

  private async reportLeftRun(kind: string, row: RowRule, standing: readonly Hold[]): Promise<void> {
    const { reporter, prefix } = this.dependencies
    const left = standing.some(({ owner }) => owner === RUN_OWNER) ? await leftRun(row, prefix, standing) : undefined
    if (!left) return reporter.faults.clear('RUN_UNFINISHED', kind)
    reporter.faults.raise('RUN_UNFINISHED', { kind, message: `${kind}: ${left.message}`, remedy: left.remedy })
  }
}
