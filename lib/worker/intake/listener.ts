// Handles expiry events. Keys of a rule with a valid id are looked up in the due index, in batches. Those that it contains, or that were claimed or just
// removed, are scheduled timers and need no event; the others were set by another service, and are claimed. In a cluster each partition of the index has
// separate batches, and if its node does not answer it is asked again: only these events show that such a key existed.

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

/** The maximum number of waiting ids of a rule, in a cluster of one of its partitions. Further events are dropped, and their rows are left to the sweep. */
const MOST_WAITING = 20_000

/** How often a partition of a cluster is asked again: for longer than a failover takes. */
const AGAIN_MS = 1_000
const MOST_ATTEMPTS = 60

export class Listener {
  readonly counters = { external: 0, malformed: 0, dropped: 0 }
  /** For each rule by partition: ids, and how often each has been asked about. */
  private readonly waiting = new Map<BoundRule, (Map<string, number> | undefined)[]>()
  private readonly stopping = new AbortController()

  constructor(
    private readonly keys: Keys,
    private readonly rules: ReadonlyMap<string, BoundRule>,
    private readonly claims: IndexClaims,
    private readonly dispatcher: Dispatcher,
    private readonly log: Log,
    private readonly feed?: LiveFeed,
  ) {
    setMaxListeners(0, this.stopping.signal) // each kind may add a listener
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

  private gather(rule: BoundRule, id: string, attempts = 0): void {
    const partition = this.keys.partitionOf(id)
    const parts = this.waiting.get(rule) ?? []
    this.waiting.set(rule, parts)
    const ids = parts[partition]
    if (!ids) {
      parts[partition] = new Map([[id, attempts]])
      setTimeout(() => void this.flush(rule, partition), GATHER_MS)
    } else if (ids.size >= MOST_WAITING) this.counters.dropped += 1
    else ids.set(id, attempts)
  }

  private async flush(rule: BoundRule, partition: number): Promise<void> {
    const parts = this.waiting.get(rule)
    for (;;) {
      const ids = parts?.[partition]
      if (!ids || ids.size === 0 || this.stopping.signal.aborted) break
      const unknown = new Map<string, number>()
      const most = this.dispatcher.batchSize(rule)
      for (const [id, attempts] of ids) {
        ids.delete(id)
        if (!this.dispatcher.claimedJustNow(rule.kind, id) && unknown.set(id, attempts).size === most) break
      }
      if (unknown.size > 0) await this.claim(rule, unknown, partition)
    }
    if (parts) parts[partition] = undefined
  }

  private async claim(rule: BoundRule, ids: ReadonlyMap<string, number>, partition: number): Promise<void> {
    const { kind } = rule
    try {
      await this.dispatcher.free(rule, this.stopping.signal)
      if (this.stopping.signal.aborted) return
      const { work, unknown } = await this.claims.expired(rule, [...ids.keys()], partition)
      void this.dispatcher.dispatch(work)
      this.askAgain(rule, unknown, ids)
    } catch (error) {
      // Redis stopped answering. The alarm and the sweep find what these events were about.
      this.log('debug', `${kind}: ${ids.size} expiry events were not followed`, { kind, error: errorText(error) })
      if (this.keys.inCluster) this.askAgain(rule, ids.keys(), ids)
    }
  }

  private askAgain(rule: BoundRule, again: Iterable<string>, attempts: ReadonlyMap<string, number>): void {
    const left = [...again].flatMap((id) => {
      const next = (attempts.get(id) ?? 0) + 1
      return next < MOST_ATTEMPTS ? [[id, next] as const] : []
    })
    if (left.length === 0) return
    const gatherAll = () => {
      if (!this.stopping.signal.aborted) for (const [id, next] of left) this.gather(rule, id, next)
    }
    setTimeout(gatherAll, AGAIN_MS).unref()
  }
}
