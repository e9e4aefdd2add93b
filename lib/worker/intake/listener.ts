// Follows expiry events. Keys of a rule with a valid id are looked up in the due index, in batches. Those that it has, has claimed or has just
// removed are our own timers and need no event; the others were set by another service, and are claimed.

import { setMaxListeners } from 'node:events'
import { show } from '../../errors.js'
import type { Keys } from '../../keys.js'
import type { Log } from '../../logger.js'
import type { LiveFeed } from '../../redis/live-feed.js'
import type { BoundRule } from '../../rules/rule.js'
import { errorText } from '../events.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'

/** Events are gathered for this long, so that a burst costs a few calls. */
const GATHER_MS = 2

/** How many ids of a rule wait at most. Events beyond that are dropped, and their rows are left to the sweep. */
const MOST_WAITING = 20_000

export class Listener {
  readonly counters = { external: 0, malformed: 0, dropped: 0 }
  private readonly waiting = new Map<string, Set<string>>()
  private readonly flushing = new Set<string>()
  private readonly stopping = new AbortController()

  constructor(
    private readonly keys: Keys,
    private readonly rules: ReadonlyMap<string, BoundRule>,
    private readonly claims: IndexClaims,
    private readonly dispatcher: Dispatcher,
    private readonly log: Log,
    private readonly feed?: LiveFeed,
  ) {
    setMaxListeners(0, this.stopping.signal) // each kind may wait by it
  }

  /** @param name of the expired key, as Redis published it */
  take(name: string): void {
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
    this.gather(rule, id)
    if (this.feed?.watched) this.feed.note('event', rule.kind, [{ id }])
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    this.waiting.clear()
  }

  private gather(rule: BoundRule, id: string): void {
    const ids = this.waiting.get(rule.kind) ?? new Set()
    this.waiting.set(rule.kind, ids)
    if (ids.size >= MOST_WAITING) this.counters.dropped += 1
    else ids.add(id)
    if (this.flushing.has(rule.kind)) return
    this.flushing.add(rule.kind)
    setTimeout(() => void this.flush(rule), GATHER_MS)
  }

  private async flush(rule: BoundRule): Promise<void> {
    const { kind } = rule
    for (;;) {
      const ids = this.waiting.get(kind)
      if (!ids || ids.size === 0 || this.stopping.signal.aborted) break
      const unknown: string[] = []
      const most = this.dispatcher.batchSize(rule)
      for (const id of ids) {
        ids.delete(id)
        if (!this.dispatcher.claimedJustNow(kind, id) && unknown.push(id) === most) break
      }
      if (unknown.length > 0) await this.claim(rule, unknown)
    }
    this.flushing.delete(kind)
  }

  private async claim(rule: BoundRule, ids: string[]): Promise<void> {
    try {
      await this.dispatcher.free(rule, this.stopping.signal)
      if (this.stopping.signal.aborted) return
      const work = await this.claims.expired(rule, ids)
      void this.dispatcher.dispatch(work)
    } catch (error) {
      // Redis stopped answering. The alarm and the sweep find what these events were about.
      this.log('debug', `${rule.kind}: ${ids.length} expiry events were not followed`, { kind: rule.kind, error: errorText(error) })
    }
  }
}
