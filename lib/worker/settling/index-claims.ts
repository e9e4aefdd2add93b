// Claims in the due index, each with its own lease and token: only this token can end the claim, and what its end puts back
// goes back. An alarm claims in one partition. Claims by ids may span several, and each partition is claimed and ended separately, so that a
// cluster node that is down delays only its own share.

import type { Keys } from '../../keys.js'
import { Moment } from '../../moment.js'
import type { Claim, HeardAt, Look, Tombstone } from '../../redis/claim.js'
import type { FailedTimers } from '../../redis/failed-timers.js'
import type { Disposition, Leases } from '../../redis/leases.js'
import type { Head } from '../../redis/pulse.js'
import { type BoundRule, isSwept } from '../../rules/rule.js'
import type { Path } from '../events.js'
import { Acknowledgements } from './acknowledgements.js'
import { BACKLOG_MS } from './catch-up.js'
import { Lease } from './lease.js'
import { AHEAD_MS, untilNextClaimMs } from './next-claim.js'
import { type PartedClaim, PartedClaims } from './parted-claims.js'
import { firstDueMs, later } from './put-back.js'
import type { Work } from './work.js'

export interface IndexClaimsDependencies {
  leases: Leases
  failures: FailedTimers
  leaseMs: (rule: BoundRule) => number
  /** Postgres's clock minus that of Redis, or of the node that has a partition. */
  skewMs: (kind: string, partition: number) => number
  /** When an order with this deadline may be settled, by `performance.now()`; undefined where Redis's clock decides. */
  dueAt: (kind: string, deadlineMs: number) => number | undefined
  keys: Pick<Keys, 'partitions' | 'split'>
  /** A unique token. */
  token: () => string
}

export class IndexClaims {
  private readonly started = new Moment()
  private readonly parts: { acknowledgements: Acknowledgements; looks: Map<string, Moment> }[] = []
  private readonly parted = new PartedClaims()
  private reportLoss: (kind: string, partition: number, isOver: boolean) => void = () => {}
  private reportPutBack: (kind: string, partition: number, untilDueMs: number) => void = () => {}

  constructor(private readonly dependencies: IndexClaimsDependencies) {}

  /** Calls the listener whenever a claim shows that the index of a kind, or a partition of it, has lost data, and whenever a pulse shows that it has not. */
  onLost(listener: (kind: string, partition: number, isOver: boolean) => void): void {
    this.reportLoss = listener
  }

  /** Calls the listener when orders were put back into an index, with the time until the first of them is due. */
  onPutBack(listener: (kind: string, partition: number, untilDueMs: number) => void): void {
    this.reportPutBack = listener
  }

  /**
   * Claims the oldest timers that are due, or will be in a moment.
   * @returns `untilNextMs`: milliseconds until the next claim should be made; infinite if the index is empty
   */
  async due(rule: BoundRule, limit: number, partition: number): Promise<{ work: Work; untilNextMs: number }> {
    const { kind } = rule
    const { leases, leaseMs } = this.dependencies
    const { looks } = this.part(partition)
    const skewMs = this.dependencies.skewMs(kind, partition)
    const sentAt = new Moment()
    const token = this.dependencies.token()
    const claim = await this.claim(rule, token, partition, () =>
      leases.claim(kind, token, { limit, leaseMs: leaseMs(rule), skewMs: skewMs + AHEAD_MS, partition, isSwept: isSwept(rule) }),
    )
    if (claim.lost) this.reportLoss(kind, partition, false)
    const looked = { sentAt, lookedAt: looks.get(kind) ?? this.started, deadlines: claim.deadlines }
    const work = this.work(rule, 'alarm', claim, [partition], looked)
    if (claim.ids.length < limit) looks.set(kind, sentAt)
    const [oldest = Number.POSITIVE_INFINITY] = claim.deadlines
    work.isBacklog = claim.now + skewMs - oldest > BACKLOG_MS
    const last = claim.deadlines.at(-1)
    if (last !== undefined) {
      const now = performance.now()
      const dueAt = this.dependencies.dueAt(kind, last) ?? now + last - (claim.now + skewMs)
      work.dueAt = Math.min(dueAt, now + AHEAD_MS) // a clock that was set meanwhile must not keep the claim waiting
    }
    return { work, untilNextMs: untilNextClaimMs(claim, skewMs) }
  }

  /** The head of the index from a pulse. @returns milliseconds until the next claim should be made */
  untilNextMs(head: Head): number {
    if (head.lost) return 0
    this.reportLoss(head.kind, head.partition, true)
    return untilNextClaimMs({ ...head, burstLeft: false }, this.dependencies.skewMs(head.kind, head.partition))
  }

  /** Resends unanswered messages of a partition. Never rejects. */
  async retry(partition: number): Promise<void> {
    await this.part(partition)
      .acknowledgements.retryAll()
      .catch(() => {})
  }

  /**
   * Claims overdue orders that the sweep found. The rows have the deadlines.
   * @param lookedAt when the previous sweep read
   * @param look the second look also takes what was settled a moment ago
   */
  async overdue(rule: BoundRule, ids: readonly string[], lookedAt: Moment, look: Look): Promise<OverdueWork> {
    const { leases, leaseMs } = this.dependencies
    const sentAt = new Moment()
    const { claims, ...claim } = await this.claimParts(rule, ids, (token, part) =>
      leases.takeOverdue(rule.kind, token, leaseMs(rule), part, look),
    )
    const settledBefore = claims.reduce((sum, { settledBefore }) => sum + settledBefore, 0)
    return { work: this.work(rule, 'sweep', claim, claim.partitions, { sentAt, lookedAt }), settledBefore, unclaimed: claim.unclaimed }
  }

  /**
   * Claims orders whose external keys have expired, all of one partition.
   * @returns `unknown`: ids for which it is unknown whether their keys were set again
   */
  async expired(rule: BoundRule, heardAt: HeardAt, partition: number): Promise<{ work: Work; unknown: readonly string[] }> {
    const { leases, leaseMs, token: newToken } = this.dependencies
    const sentAt = new Moment()
    const [token, ids] = [newToken(), [...heardAt.keys()]]
    const claim = await this.claim(rule, token, partition, () =>
      leases.takeExpired(rule.kind, token, leaseMs(rule), ids, heardAt, isSwept(rule)),
    )
    return { work: this.work(rule, 'event', claim, [partition], { sentAt, lookedAt: this.started }), unknown: claim.unknown }
  }

  /** Claims ids, separately for each partition. @throws what a claim throws, if none succeeds */
  private async claimParts<T extends Claim>(
    rule: BoundRule,
    ids: readonly string[],
    claim: (token: string, ids: readonly string[]) => Promise<T>,
  ): Promise<PartedClaim<T>> {
    const token = this.dependencies.token()
    const { keys, leases, skewMs } = this.dependencies
    if (keys.partitions === 1) {
      const claimed = await this.claim(rule, token, 0, () => claim(token, ids))
      return { token, ids: claimed.ids, claims: [claimed], partitions: [0], unclaimed: [] }
    }
    const claimPart = (partition: number, part: readonly string[]) => this.claim(rule, token, partition, () => claim(token, part))
    const giveBack = (partition: number) => void leases.release(rule.kind, token, skewMs(rule.kind, partition), partition).catch(() => {}) // then its lease ends
    return this.parted.claim(token, keys.split(ids), claimPart, giveBack)
  }

  /** A claim that Redis does not answer may still have been carried out, so it is released later. */
  private async claim<T>(rule: BoundRule, token: string, partition: number, claim: () => Promise<T>): Promise<T> {
    const { leases, leaseMs, skewMs } = this.dependencies
    const { acknowledgements } = this.part(partition)
    await acknowledgements.retryAll()
    return acknowledgements.send(token, leaseMs(rule), claim, () =>
      leases.release(rule.kind, token, skewMs(rule.kind, partition), partition),
    )
  }

  private work(
    rule: BoundRule,
    via: Path,
    { token, ids }: Claim,
    partitions: readonly number[],
    { sentAt, lookedAt, deadlines = [] }: Looked,
  ): Work {
    const { leases, failures } = this.dependencies
    const leaseMs = this.dependencies.leaseMs(rule)
    const keep = (partition: number) => leases.keep(rule.kind, token, leaseMs, partition)
    const tombstone = via !== 'event' ? 'settled' : isSwept(rule) ? 'external' : '' // then what was acted on is known by its time
    return {
      rule,
      via,
      isBacklog: via === 'sweep',
      ids,
      lookedAt,
      deadlineOf: lookUp(ids, deadlines),
      lease: new Lease(leaseMs, sentAt, async () => (await Promise.all(partitions.map(keep))).every(Boolean)),
      failures: (failed) => failures.of(rule.kind, failed, partitions.length === 1 ? partitions[0] : undefined),
      finish: (dispositions) => this.finish(rule, token, partitions, dispositions, tombstone),
    }
  }

  private async finish(
    rule: BoundRule,
    token: string,
    partitions: readonly number[],
    dispositions: readonly Disposition[],
    tombstone: Tombstone,
  ): Promise<unknown> {
    const [only = 0] = partitions
    if (partitions.length === 1) return this.finishPart(rule, token, only, dispositions, tombstone)
    const parts = this.dependencies.keys.split(dispositions.map(({ id }) => id))
    const ends = partitions.map((partition) => {
      const ids = new Set(parts.get(partition))
      const ofPart = dispositions.filter(({ id }) => ids.has(id))
      return this.finishPart(rule, token, partition, ofPart, tombstone)
    })
    const failed = (await Promise.allSettled(ends)).find((end) => end.status === 'rejected')
    if (failed) throw failed.reason
    return undefined
  }

  private async finishPart(
    rule: BoundRule,
    token: string,
    partition: number,
    dispositions: readonly Disposition[],
    tombstone: Tombstone,
  ): Promise<void> {
    const { kind } = rule
    const { leases, leaseMs } = this.dependencies
    const at = performance.now()
    const send = (dispositions: readonly Disposition[], isRetry: boolean) =>
      leases.finish(kind, token, this.dependencies.skewMs(kind, partition), dispositions, { tombstone, isRetry, partition })
    await this.part(partition).acknowledgements.send(
      token,
      leaseMs(rule),
      () => send(dispositions, false),
      () => send(later(dispositions, performance.now() - at), true),
    )
    const untilDueMs = firstDueMs(dispositions)
    if (untilDueMs !== undefined) this.reportPutBack(kind, partition, untilDueMs)
  }

  /** The state of each partition: unanswered messages, and by kind the latest claim that took everything that was due. */
  private part(partition: number): { acknowledgements: Acknowledgements; looks: Map<string, Moment> } {
    while (partition >= this.parts.length) this.parts.push({ acknowledgements: new Acknowledgements(), looks: new Map() })
    return this.parts[partition] as { acknowledgements: Acknowledgements; looks: Map<string, Moment> }
  }
}

export interface OverdueWork {
  work: Work
  /** How many were skipped because they were settled a moment ago. */
  settledBefore: number
  /** The ids whose cluster node did not answer. */
  unclaimed: readonly string[]
}

interface Looked {
  sentAt: Moment
  lookedAt: Moment
  deadlines?: readonly number[]
}

/** Few callers need it, so the map is created on demand. */
export function lookUp(ids: readonly string[], deadlines: readonly number[]): (id: string) => number | undefined {
  let byId: Map<string, number> | undefined
  return (id) => {
    byId ??= new Map(deadlines.map((deadline, i) => [ids[i] as string, deadline]))
    return byId.get(id)
  }
}
