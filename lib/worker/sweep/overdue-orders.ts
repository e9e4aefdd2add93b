// Claims overdue orders and has them settled, batch by batch. What an alarm has settled since its row was read is skipped. An order that was
// settled a moment ago and has returned looks the same, so if any was skipped, the rows are read once more at the end.

import type { Moment } from '../../moment.js'
import type { Look } from '../../redis/claim.js'
import type { RedisConnection } from '../../redis/connection.js'
import type { Stale } from '../../rows/pending-rows.js'
import type { SweptRule } from '../../rules/rule.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import { type IndexClaims, lookUp, type OverdueWork } from '../settling/index-claims.js'
import type { Found, MemoryClaims } from '../settling/memory-claims.js'
import type { OverduePages } from './overdue-pages.js'
import type { SweepReads } from './reads.js'

export interface OverdueOrdersDependencies {
  pages: OverduePages
  reads: SweepReads
  dispatcher: Dispatcher
  memory: MemoryClaims
  /** Both undefined with `redis: false`. */
  connection: RedisConnection | undefined
  claims: IndexClaims | undefined
  stopping: AbortSignal
}

export interface SettledOverdue {
  /** How many were claimed. */
  overdue: number
  /** Orders overdue by more than `staleAfter`, which are left to a person; undefined if the sweep ended before that was read. */
  stale: Stale | undefined
}

interface BegunOverdue {
  /** How many were claimed. */
  overdue: number
  settledBefore: number
  ended: Promise<unknown>
}

export class OverdueOrders {
  constructor(private readonly dependencies: OverdueOrdersDependencies) {}

  /** @returns once everything that it claimed has been settled or put back */
  async settle(rule: SweptRule): Promise<SettledOverdue> {
    const { settledBefore, ...first } = await this.look(rule, 'first')
    if (settledBefore === 0) return first
    const second = await this.look(rule, 'second')
    return { overdue: first.overdue + second.overdue, stale: second.stale ?? first.stale }
  }

  private async look(rule: SweptRule, look: Look): Promise<SettledOverdue & { settledBefore: number }> {
    const { pages, reads, dispatcher, stopping } = this.dependencies
    const batchSize = () => dispatcher.batchSize(rule, 'sweep')
    const running: Promise<unknown>[] = []
    let [overdue, settledBefore] = [0, 0]
    let stale: Stale | undefined
    const lookedAt = reads.lastLook(rule.kind)
    if (!(await dispatcher.admits(rule, stopping))) return { overdue, stale, settledBefore }
    reading: for await (const page of pages.read(rule, batchSize)) {
      const deadlineOf = lookUp(page.ids, page.deadlines)
      for (let first = 0; first < page.ids.length; ) {
        if (!(await dispatcher.admits(rule, stopping))) break reading
        const ids = page.ids.slice(first, first + batchSize())
        const begun = await this.begin(rule, { ids, deadlineOf }, lookedAt, look)
        overdue += begun.overdue
        settledBefore += begun.settledBefore
        running.push(begun.ended)
        first += ids.length
      }
      stale = page.stale
    }
    await Promise.all(running)
    return { overdue, stale, settledBefore }
  }

  /** Claims them and has them settled: what a node of a cluster does not answer for, by a claim in memory. */
  async begin(rule: SweptRule, found: Found, lookedAt: Moment, look: Look): Promise<BegunOverdue> {
    const { dispatcher, memory } = this.dependencies
    const { work, settledBefore, unclaimed } = await this.claim(rule, found, lookedAt, look)
    const works = unclaimed.length > 0 ? [work, memory.overdue(rule, { ...found, ids: unclaimed }, lookedAt)] : [work]
    const ended = Promise.all(works.map((one) => dispatcher.dispatch(one)))
    return { overdue: works.reduce((sum, { ids }) => sum + ids.length, 0), settledBefore, ended }
  }

  /** In the due index if Redis answers, else in memory. There only the guard in the UPDATE separates two workers, which is enough. */
  async claim(rule: SweptRule, found: Found, lookedAt: Moment, look: Look): Promise<OverdueWork> {
    const { connection, claims, memory } = this.dependencies
    if (claims && connection?.usable) {
      try {
        const claimed = await claims.overdue(rule, found.ids, lookedAt, look)
        memory.forget(rule.kind, claimed.work.ids)
        return claimed
      } catch {
        // Redis does not answer or refuses the claim. Its connection reports that; the rows are still settled.
      }
    }
    return { work: memory.overdue(rule, found, lookedAt), settledBefore: 0, unclaimed: [] }
  }
}
