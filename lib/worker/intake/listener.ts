// Follows expiry events. Keys of a rule with a valid id are looked up in the due index, in batches. Those that it has, has claimed or has just
// removed are our own timers and need no event; the others were set by another service, and are claimed. In a cluster each partition of the index has
// batches of its own. What Redis does not answer is asked again: nothing but these events says that such a key was there. Every worker hears of it and may
// ask again, so each question says since when the event may have been there, and what another worker has followed since is left out. For the same reason
// no event of a rule without a sweep waits here for a free place: its order goes into the index, which survives this process.

import { setMaxListeners } from 'node:events'
import { show } from '../../errors.js'
import type { Keys } from '../../keys.js'
import type { Log } from '../../logger.js'
import type { HeardAt } from '../../redis/claim.js'
import type { LiveFeed } from '../../redis/live-feed.js'
import { type BoundRule, isSwept } from '../../rules/rule.js'
import { errorText } from '../events.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'
import type { Standstill } from '../standstill.js'

/** Events are gathered for this long, so that a burst costs a few calls. */
const GATHER_MS = 2

/** The maximum number of waiting ids of a rule, in a cluster of one of its partitions. Further events are dropped, and their rows are left to the sweep. */
const MOST_WAITING = 20_000

/** The same of a rule that no sweep covers: what is dropped is lost. */
const MOST_UNSWEPT = 1_000_000

/** Events that are dropped within this time are logged together. */
const DROPPED_MS = 1_000

/** How often, and for how long, it is asked again about an event: longer than a failover takes. */
const AGAIN_MS = 1_000
const LONGEST_MS = 60_000

export class Listener {
  readonly counters = { external: 0, malformed: 0, dropped: 0 }
  /** Of each rule by partition: ids, and when the event of each was heard, by `performance.now()`. */
  private readonly waiting = new Map<BoundRule, (Map<string, number> | undefined)[]>()
  /** How many events of each rule were dropped and not logged yet. */
  private readonly dropped = new Map<BoundRule, number>()
  private readonly flushing = new Set<Promise<void>>()
  /** What waits to be asked again. */
  private readonly again = new Set<() => void>()
  private readonly stopping = new AbortController()

  constructor(
    private readonly keys: Keys,
    private readonly rules: ReadonlyMap<string, BoundRule>,
    private readonly claims: IndexClaims,
    private readonly dispatcher: Dispatcher,
    private readonly log: Log,
    private readonly standstill: Pick<Standstill, 'unreadSince'>,
    private readonly feed?: LiveFeed,
    private readonly mostUnswept = MOST_UNSWEPT,
  ) {
    setMaxListeners(0, this.stopping.signal) // each kind may add a listener
  }

  /** @param name of the expired key, as Redis published it */
  take(name: string): void {
    if (this.stopping.signal.aborted) return
    const parsed = this.keys.parse(name)
    const rule = parsed === 'external' ? undefined : this.rules.get(parsed.kind)
    if (parsed === 'external' || !rule) {
      this.counters.external += 1
      return
    }
    const id = rule.parseId(parsed.id)
    if (id === null) {
      this.counters.malformed += 1
      this.log('debug', `${rule.kind}: an expired key has no valid order id: ${show(name)}`, { kind: rule.kind })
      return
    }
    this.gather(rule, id, this.standstill.unreadSince)
    if (this.feed?.watched) this.feed.note('event', rule.kind, [{ id }])
  }

  /** Asks at once about what waits of rules without a sweep; the rest is left to the sweep. */
  async stop(): Promise<void> {
    this.stopping.abort()
    for (const ask of [...this.again]) ask()
    for (const [rule, parts] of this.waiting) for (const partition of parts.keys()) this.startFlush(rule, partition)
    await Promise.all(this.flushing)
    for (const rule of [...this.dropped.keys()]) this.logDropped(rule)
    this.waiting.clear()
  }

  private gather(rule: BoundRule, id: string, heardAt: number): void {
    const partition = this.keys.partitionOf(id)
    const parts = this.waiting.get(rule) ?? []
    this.waiting.set(rule, parts)
    const ids = parts[partition]
    if (!ids) {
      parts[partition] = new Map([[id, heardAt]])
      setTimeout(() => this.startFlush(rule, partition), GATHER_MS)
    } else if (ids.size >= (isSwept(rule) ? MOST_WAITING : this.mostUnswept) && !ids.has(id)) this.drop(rule)
    else ids.set(id, Math.max(heardAt, ids.get(id) ?? 0))
  }

  private drop(rule: BoundRule): void {
    this.counters.dropped += 1
    const before = this.dropped.get(rule)
    this.dropped.set(rule, (before ?? 0) + 1)
    if (before === undefined) setTimeout(() => this.logDropped(rule), DROPPED_MS).unref()
  }

  private logDropped(rule: BoundRule): void {
    const count = this.dropped.get(rule) ?? 0
    if (this.dropped.delete(rule)) this.logLost(rule, count, 'too many wait')
  }

  private logLost(rule: BoundRule, count: number, why: string): void {
    const { kind } = rule
    const effect = isSwept(rule)
      ? 'the sweep settles their orders'
      : 'they are lost, since no sweep covers this rule: give it a deadline on the row, or settle these orders by hand'
    this.log(isSwept(rule) ? 'warn' : 'error', `${kind}: ${count} expiry events were dropped, since ${why}; ${effect}`, {
      code: 'EVENTS_DROPPED',
      kind,
      count,
    })
  }

  private startFlush(rule: BoundRule, partition: number): void {
    const flush = this.flush(rule, partition).finally(() => this.flushing.delete(flush))
    this.flushing.add(flush)
  }

  private async flush(rule: BoundRule, partition: number): Promise<void> {
    const parts = this.waiting.get(rule)
    for (;;) {
      const ids = parts?.[partition]
      if (!ids || ids.size === 0 || (this.stopping.signal.aborted && isSwept(rule))) break
      const unknown = new Map<string, number>()
      const most = this.dispatcher.batchSize(rule)
      for (const [id, heardAt] of ids) {
        ids.delete(id)
        if (!this.dispatcher.claimedJustNow(rule.kind, id) && unknown.set(id, heardAt).size === most) break
      }
      if (unknown.size > 0) await this.claim(rule, unknown, partition)
    }
    if (parts) parts[partition] = undefined
  }

  private async claim(rule: BoundRule, heardAt: HeardAt, partition: number): Promise<void> {
    const { kind } = rule
    try {
      if (isSwept(rule)) {
        await this.dispatcher.free(rule, this.stopping.signal)
        if (this.stopping.signal.aborted) return
      }
      const { work, unknown } = await this.claims.expired(rule, heardAt, partition)
      if (isSwept(rule) || this.dispatcher.isFree(rule)) void this.dispatcher.dispatch(work)
      else await this.dispatcher.putBack(work)
      this.askAgain(rule, unknown, heardAt)
    } catch (error) {
      this.log('debug', `${kind}: Redis has not answered about ${heardAt.size} expiry events yet`, { kind, error: errorText(error) })
      this.askAgain(rule, heardAt.keys(), heardAt)
    }
  }

  private askAgain(rule: BoundRule, ids: Iterable<string>, heardAt: HeardAt): void {
    const since = performance.now() - LONGEST_MS
    const left = [...ids].map((id) => [id, heardAt.get(id) as number] as const).filter(([, at]) => at > since)
    if (left.length === 0) return
    if (this.stopping.signal.aborted) {
      if (isSwept(rule)) return
      this.counters.dropped += left.length
      this.logLost(rule, left.length, 'Redis did not answer when the worker stopped')
      return
    }
    const gatherAll = () => {
      clearTimeout(timer)
      this.again.delete(gatherAll)
      for (const [id, at] of left) this.gather(rule, id, at)
    }
    const timer = setTimeout(gatherAll, AGAIN_MS).unref()
    this.again.add(gatherAll)
  }
}
