// The sweep's part for rules with `verify`. Their overdue orders are claimed in the background, since the sweep does not wait for the payment service: first those that were
// never asked about, then those that are asked about again. Between sweeps a timer wakes for the next of these.

import { cappedText } from '../../rows/cap.js'
import type { DueAgain } from '../../rows/unverified-orders.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Reporter } from '../reporter.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import { lookUp } from '../settling/index-claims.js'
import type { OverdueOrders } from '../sweep/overdue-orders.js'
import type { SweepReads } from '../sweep/reads.js'
import type { VerifiedRule } from './stage.js'

/** A longer Node timer would overflow; sweeps come earlier. */
const LONGEST_MS = 86_400_000
/** The wait if orders are left that are to be asked about now. */
const TAKEN_MS = 1_000

export interface VerifiedSweepDependencies {
  overdue: OverdueOrders
  dispatcher: Dispatcher
  reads: SweepReads
  reporter: Reporter
  stopping: AbortSignal
  /** Whether it repeats by itself: not in a single pass. */
  comesBack: boolean
  reportError: (rule: BoundRule, error: unknown) => Promise<void>
}

export class VerifiedSweep {
  private readonly running = new Map<string, Promise<void>>()
  private readonly timers = new Map<string, { timer: NodeJS.Timeout; at: number }>()

  constructor(private readonly dependencies: VerifiedSweepDependencies) {
    const { dispatcher, comesBack } = dependencies
    if (comesBack) dispatcher.verifying.onAskedLater((rule, milliseconds) => this.comeBack(rule, milliseconds))
  }

  /** Begins, unless it is running. */
  begin(rule: VerifiedRule): void {
    const { kind } = rule
    if (this.running.has(kind) || this.dependencies.stopping.aborted) return
    const run = this.run(rule).finally(() => this.running.delete(kind))
    this.running.set(kind, run)
  }

  /** Resolves when all that was begun has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.running.values())
  }

  async stop(): Promise<void> {
    for (const { timer } of this.timers.values()) clearTimeout(timer)
    this.timers.clear()
    await this.ended()
  }

  private async run(rule: VerifiedRule): Promise<void> {
    const { overdue, stopping, reportError } = this.dependencies
    try {
      if (await rule.row.brake?.brakedAt()) return // a sweep after its release begins again
      await overdue.settle(rule)
      await this.askAgain(rule)
      await this.report(rule)
    } catch (error) {
      if (!stopping.aborted) await reportError(rule, error)
    }
  }

  /** One pass: what could be neither settled nor answered (locked, braked, claimed elsewhere) is left to the next one. */
  private async askAgain(rule: VerifiedRule): Promise<void> {
    const { overdue, dispatcher, reads, stopping } = this.dependencies
    const { guard, verification } = rule.row
    const size = () => dispatcher.batchSize(rule)
    let after: DueAgain['last']
    while (await dispatcher.verifying.admission(rule).idle(stopping)) {
      const { ids, deadlines, nextMs, last } = await verification.unverified.dueAgain(guard, size() * verification.concurrency, after)
      const deadlineOf = lookUp(ids, deadlines)
      const asked: Promise<unknown>[] = []
      let admitted = true
      for (let first = 0; first < ids.length; ) {
        admitted = await dispatcher.admits(rule, stopping)
        if (!admitted) break
        const some = ids.slice(first, first + size())
        const { ended } = await overdue.begin(rule, { ids: some, deadlineOf }, reads.lastLook(rule.kind), 'second')
        asked.push(ended)
        first += some.length
      }
      await Promise.all(asked)
      after = last
      if (last && admitted) continue
      if (nextMs !== undefined) this.comeBack(rule, nextMs > 0 ? nextMs : TAKEN_MS)
      return
    }
  }

  /** Orders with repeated answers `false`: probably paid, and their status was never changed. */
  private async report(rule: VerifiedRule): Promise<void> {
    const { kind } = rule
    const { faults } = this.dependencies.reporter
    const { count, refused, refusedId } = await rule.row.verification.unverified.summary()
    if (count === 0) faults.clear('VERIFY_FAILED', kind) // another worker has settled the orders that this one could not ask about
    if (refused === 0) return faults.clear('UNVERIFIED', kind)
    const message = `${kind}: ${cappedText(refused)} orders are due, and "verify.ask" keeps answering false, such as of ${refusedId}`
    const remedy = `if they are paid, move them out of where the rule applies; or: order-timers settle ${kind} ${refusedId} --unverified --reason "…"`
    faults.raise('UNVERIFIED', { kind, message, remedy })
  }

  private comeBack(rule: VerifiedRule, milliseconds: number): void {
    if (this.dependencies.stopping.aborted || !this.dependencies.comesBack) return
    const { kind } = rule
    const inMs = Math.min(LONGEST_MS, Math.max(20, Math.ceil(milliseconds) + 5))
    const at = performance.now() + inMs
    const known = this.timers.get(kind)
    if (known && known.at <= at) return
    clearTimeout(known?.timer)
    const timer = setTimeout(() => {
      this.timers.delete(kind)
      if (this.running.has(kind)) this.comeBack(rule, TAKEN_MS)
      else this.begin(rule)
    }, inMs).unref()
    this.timers.set(kind, { timer, at })
  }
}
