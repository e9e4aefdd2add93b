// Claims in the due index, each under a lease and a token of its own: nothing but this token can end the claim, and what its end puts back
// comes back.

import { Moment } from '../../moment.js'
import type { FailedTimers } from '../../redis/failed-timers.js'
import { BURST, type Claim, type ClaimAnswer, type Disposition, type Leases, type Look } from '../../redis/leases.js'
import type { Head } from '../../redis/pulse.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Path } from '../events.js'
import { Acknowledgements } from './acknowledgements.js'
import { BACKLOG_MS } from './catch-up.js'
import { Lease } from './lease.js'
import type { Work } from './work.js'

/** How long before its deadline a timer is claimed, so that Redis has answered when it is due. */
const AHEAD_MS = 3

export interface IndexClaimsDependencies {
  leases: Leases
  failures: FailedTimers
  leaseMs: (rule: BoundRule) => number
  /** Postgres's clock minus Redis's. */
  skewMs: (kind: string) => number
  /** A token that no other claim has. */
  token: () => string
}

export class IndexClaims {
  private readonly acknowledgements = new Acknowledgements()
  private readonly started = new Moment()
  /** By kind: the latest claim that took everything that was due. */
  private readonly looks = new Map<string, Moment>()
  private reportLost: (kind: string) => void = () => {}

  constructor(private readonly dependencies: IndexClaimsDependencies) {}

  /** Calls the listener whenever a claim shows that the index of a kind has lost data. */
  onLost(listener: (kind: string) => void): void {
    this.reportLost = listener
  }

  /**
   * Claims the oldest timers that are due, or will be in a moment.
   * @returns `untilNextMs`: milliseconds until the next claim should be made; infinite if the index is empty
   */
  async due(rule: BoundRule, limit: number): Promise<{ work: Work; untilNextMs: number }> {
    const { kind } = rule
    const { leases, leaseMs } = this.dependencies
    const skewMs = this.dependencies.skewMs(kind)
    const sentAt = new Moment()
    const claim = await this.claim(rule, (token) => leases.claim(kind, token, { limit, leaseMs: leaseMs(rule), skewMs: skewMs + AHEAD_MS }))
    if (claim.lost) this.reportLost(kind)
    const work = this.work(rule, 'alarm', claim, { sentAt, lookedAt: this.looks.get(kind) ?? this.started, deadlines: claim.deadlines })
    if (claim.ids.length < limit) this.looks.set(kind, sentAt)
    const [oldest = Number.POSITIVE_INFINITY] = claim.deadlines
    work.isBacklog = claim.now + skewMs - oldest > BACKLOG_MS
    const last = claim.deadlines.at(-1)
    work.dueAt = performance.now() + (last === undefined ? 0 : Math.max(0, last - (claim.now + skewMs)))
    return { work, untilNextMs: untilNextClaimMs(claim, skewMs) }
  }

  /** What a pulse has found at the head of the index. @returns milliseconds until the next claim should be made */
  untilNextMs(head: Head): number {
    if (head.lost) return 0
    return untilNextClaimMs({ ...head, burstLeft: false }, this.dependencies.skewMs(head.kind))
  }

  /** Sends again what was not answered. Never rejects. */
  async retry(): Promise<void> {
    await this.acknowledgements.retryAll().catch(() => {})
  }

  /**
   * What the sweep found overdue. The rows know the deadlines.
   * @param lookedAt when a sweep had looked before
   * @param look at the second, also what was settled a moment ago
   */
  async overdue(rule: BoundRule, ids: readonly string[], lookedAt: Moment, look: Look): Promise<OverdueWork> {
    const { leases, leaseMs } = this.dependencies
    const sentAt = new Moment()
    const claim = await this.claim(rule, (token) => leases.takeOverdue(rule.kind, token, leaseMs(rule), ids, look))
    return { work: this.work(rule, 'sweep', claim, { sentAt, lookedAt }), settledBefore: claim.settledBefore }
  }

  /** Orders whose keys another service had set, and that have expired. */
  async expired(rule: BoundRule, ids: readonly string[]): Promise<Work> {
    const { leases, leaseMs } = this.dependencies
    const sentAt = new Moment()
    const claim = await this.claim(rule, (token) => leases.takeExpired(rule.kind, token, leaseMs(rule), ids))
    return this.work(rule, 'event', claim, { sentAt, lookedAt: this.started })
  }

  /** A claim that Redis does not answer may have been made all the same, so it is released later. */
  private async claim<T>(rule: BoundRule, claim: (token: string) => Promise<T>): Promise<T> {
    const { leases, leaseMs, skewMs } = this.dependencies
    const token = this.dependencies.token()
    await this.acknowledgements.retryAll()
    return this.acknowledgements.send(
      token,
      leaseMs(rule),
      () => claim(token),
      () => leases.release(rule.kind, token, skewMs(rule.kind)),
    )
  }

  private work(rule: BoundRule, via: Path, claim: Claim, { sentAt, lookedAt, deadlines = [] }: Looked): Work {
    const { leases, failures } = this.dependencies
    const { token, ids } = claim
    const leaseMs = this.dependencies.leaseMs(rule)
    return {
      rule,
      via,
      isBacklog: via === 'sweep',
      ids,
      lookedAt,
      deadlineOf: lookUp(ids, deadlines),
      lease: new Lease(leaseMs, sentAt, () => leases.keep(rule.kind, token, leaseMs)),
      failures: (failed) => failures.of(rule.kind, failed),
      finish: (dispositions) => this.finish(rule, token, dispositions, via === 'event' ? 'external' : 'settled'),
    }
  }

  private finish(
    rule: BoundRule,
    token: string,
    dispositions: readonly Disposition[],
    tombstone: 'settled' | 'external',
  ): Promise<unknown> {
    const { kind } = rule
    const { leases, leaseMs } = this.dependencies
    const at = performance.now()
    const send = (dispositions: readonly Disposition[], isRetry: boolean) =>
      leases.finish(kind, token, this.dependencies.skewMs(kind), dispositions, { tombstone, isRetry })
    return this.acknowledgements.send(
      token,
      leaseMs(rule),
      () => send(dispositions, false),
      () => send(later(dispositions, performance.now() - at), true),
    )
  }
}

export interface OverdueWork {
  work: Work
  /** How many were left out because they were settled a moment ago. */
  settledBefore: number
}

interface Looked {
  sentAt: Moment
  lookedAt: Moment
  deadlines?: readonly number[]
}

/** Orders that a dead worker has claimed are claimed as soon as its lease ends. */
function untilNextClaimMs(
  { now, next, burstLeft, leaseEnds }: Pick<ClaimAnswer, 'now' | 'next' | 'burstLeft' | 'leaseEnds'>,
  skewMs: number,
): number {
  if (burstLeft) return 0
  const untilLeaseEndsMs = leaseEnds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, leaseEnds - now)
  if (next === undefined) return untilLeaseEndsMs
  const untilDueMs = Math.max(0, next - (now + skewMs))
  return Math.min(untilLeaseEndsMs, Math.max(0, untilDueMs - (untilDueMs > BURST.withinMs ? BURST.withinMs : AHEAD_MS)))
}

/**
 * The same dispositions, sent so many milliseconds later. Meanwhile a sweep without Redis may have settled what is a dead letter here. Nobody
 * looks at a dead letter again, so it gets one more attempt instead.
 */
function later(dispositions: readonly Disposition[], passedMs: number): Disposition[] {
  return dispositions.map((one) => {
    if (one.failure?.dead) return { id: one.id, delayMs: 0 }
    return one.delayMs === undefined ? one : { ...one, delayMs: Math.max(0, one.delayMs - passedMs) }
  })
}

/** Few rules ever ask, so the map is made when they do. */
function lookUp(ids: readonly string[], deadlines: readonly number[]): (id: string) => number | undefined {
  let byId: Map<string, number> | undefined
  return (id) => {
    byId ??= new Map(deadlines.map((deadline, i) => [ids[i] as string, deadline]))
    return byId.get(id)
  }
}
