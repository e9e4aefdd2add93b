// The sweep's share of what orders take along when they leave (rows/left-deadlines.ts): takes it off portion by portion, counts it, and tells what
// remains. A table that refuses it, by a trigger or a right that is missing, keeps nothing else from being swept.

import type { Transaction } from 'sequelize'
import type { Log } from '../../logger.js'
import type { LeftDeadlines } from '../../rows/left-deadlines.js'
import { MOST_COUNTED } from '../../rows/pending-rows.js'
import type { SettledRows } from '../../rows/row-rule.js'
import { isDatabaseTrouble } from '../../sequelize/fault-owner.js'
import { errorText, type WorkerEmitter } from '../events.js'
import type { KindCounters } from '../settling/counters.js'

const PORTION = 1_000

export type Transact = <T>(row: SettledRows, work: (transaction: Transaction) => Promise<T>) => Promise<T>

export interface LeftOrdersDependencies {
  counters: ReadonlyMap<string, KindCounters>
  events: WorkerEmitter
  log: Log
  transact: Transact
  stopping: AbortSignal
}

export class LeftOrders {
  private readonly counted = new Map<string, number>()
  private readonly refused = new Set<string>()

  constructor(private readonly dependencies: LeftOrdersDependencies) {}

  /** Never rejects. */
  takeOff(kind: string, row: SettledRows): Promise<void> {
    return this.portions(kind, row, 'deadlines', (left, transaction) => left.takeOffPortion(transaction, PORTION))
  }

  /** As `takeOff`, of what pauses have kept; asked seldom. */
  takeOffPauses(kind: string, row: SettledRows): Promise<void> {
    return this.portions(kind, row, 'pauses', (left, transaction) => left.takeOffPauses(transaction, PORTION))
  }

  private async portions(
    kind: string,
    row: SettledRows,
    what: 'deadlines' | 'pauses',
    take: (left: LeftDeadlines, transaction: Transaction) => Promise<number>,
  ): Promise<void> {
    const { left } = row
    if (!left) return
    const { counters, log, transact, stopping } = this.dependencies
    let cleared = 0
    try {
      for (let portion = PORTION; portion >= PORTION && !stopping.aborted; ) {
        portion = await transact(row, (transaction) => take(left, transaction))
        cleared += portion
      }
      this.refused.delete(`${kind} ${what}`)
    } catch (error) {
      if (!stopping.aborted && !isDatabaseTrouble(error)) this.tellRefused(kind, what, error)
    }
    const own = counters.get(kind)
    if (own) own.cleared += cleared
    if (cleared > 0) log('info', `${kind}: ${cleared} ${what} of orders that are no longer there were taken off`, { kind, cleared })
  }

  /** Deadlines that stand on rows where the rule does not apply: of orders that left, or that are still to come. */
  async count(kind: string, row: SettledRows): Promise<void> {
    const { left } = row
    if (!left) return
    const { events, log, transact } = this.dependencies
    const count = await transact(row, (transaction) => left.count(transaction))
    const known = this.counted.get(kind) ?? 0
    this.counted.set(kind, count)
    if (count === 0 || count === known) return
    const many = count >= MOST_COUNTED ? `${MOST_COUNTED} or more` : count
    const what = `${many} orders have a deadline and are not where the rule applies; one that comes there before it is settled by it`
    log('info', `${kind}: ${what}; write NULL there when an order leaves, or have "auto" or the trigger do it`, {
      code: 'LEFT',
      kind,
      count,
    })
    events.tell('left', { kind, count })
  }

  private tellRefused(kind: string, what: 'deadlines' | 'pauses', error: unknown): void {
    if (this.refused.has(`${kind} ${what}`)) return
    this.refused.add(`${kind} ${what}`)
    const refused = `the ${what} of orders that are no longer there could not be taken off (${errorText(error)})`
    const remedy =
      'an order that comes back after its deadline is settled at once; let the table take the UPDATE, or write NULL there yourselves'
    this.dependencies.log('warn', `${kind}: ${refused}; ${remedy}`, { code: 'NOT_CLEARED', kind })
  }
}
