// Claims: timers that a worker has taken out of the due index, each claim a set of its own under a token, until it ends or its lease
// expires. A claim in a cluster is in one partition, or in several under the same token. Who claims, when, and what becomes of it is the worker's to decide.

import type { Redis } from 'ioredis'
import { OrderTimersError } from '../errors.js'
import type { Keys } from '../keys.js'
import type { ClaimAnswer, ClaimOptions, ExpiredClaim, HeardAt, Look, OverdueClaim, Tombstone } from './claim.js'
import { failureText, optional, parsePairs, placeName } from './claim-texts.js'
import type { RedisClock } from './clock.js'
import type { RedisConnection } from './connection.js'
import type { Failure } from './failed-timers.js'
import { mayHaveWritten, operation, scripts } from './script-calls.js'
import { sentBy } from './send-limits.js'
import { TimerKeys } from './timer-keys.js'

/**
 * A claim, or the end of one, that reaches Redis later than this does nothing: nobody waits for its answer any more (a frozen Redis
 * executes on waking what was sent to it), and it may have been retried. Less than the silence after which a connection is given up.
 */
const VALID_MS = 1_000

/**
 * A burst is more timers than one claim takes, due within `withinMs`. A claim removes at most `keysRemoved` of their keys, since Redis does
 * nothing else meanwhile. Timers due for longer than `dueForMs` are left out: Redis itself has expired their keys by then.
 */
export const BURST = { withinMs: 500, dueForMs: 5_000, keysRemoved: 5_000 }

const AGES_VALID_MS = 400 // followed.lua forgives ages that are 450 ms old

/** How long only one worker restores lost data. Then another one may, since the first may have died. */
const RESTORING_MS = 5_000

/** What happens to an unsettled timer when its claim ends: it goes back, it is left to the sweep, or it is dropped. */
export interface Disposition {
  id: string
  /** The rule no longer applies to the order. */
  gone?: true
  /** The lease ended before it was settled: it goes back at its old deadline, unless another claim has taken it. */
  lapsed?: true
  /** From now until it is due again; undefined for a dead letter, for a timer that is left to the next sweep, and for one that is dropped. */
  delayMs?: number | undefined
  failure?: Failure | undefined
  /** For a dead letter: the stack of its error. */
  stack?: string
}

export interface FinishOptions {
  tombstone?: Tombstone
  /** The first attempt was not answered: if it was carried out, nothing is done. */
  isRetry?: boolean
  /** For a cluster's index. */
  partition?: number
}

type TakeReply = [taken: string, settledBefore: number, armed?: string]
type ClaimReply = [now: string, next: string, burstLeft: number, claimed: string, leaseEnds: string, epoch: string, lost: number]

export class Leases {
  /** The newest epoch seen, by kind or by partition and kind: an index with an older one has lost data. */
  private readonly epochs = new Map<string, number>()
  private readonly timerKeys: TimerKeys

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
    private readonly clock: RedisClock,
  ) {
    this.timerKeys = new TimerKeys(keys)
    keys.onPartitions(() => this.epochs.clear()) // an index that is older than another has lost nothing
  }

  /** The newest epoch of an index that this process has seen; 0 for none. */
  knownEpoch(kind: string, partition = 0): number {
    return this.epochs.get(placeName(kind, partition)) ?? 0
  }

  noteEpoch(kind: string, epoch: number, partition = 0): void {
    this.epochs.set(placeName(kind, partition), epoch)
  }

  /** Takes the oldest timers that are due. @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error */
  async claim(kind: string, token: string, { limit, leaseMs, skewMs, partition = 0, isSwept = true }: ClaimOptions): Promise<ClaimAnswer> {
    const known = this.knownEpoch(kind, partition)
    const { due, leases, lease, tombstones, keysRemoved } = this.keys.sets(kind, partition)
    const validUntil = (await this.clock.now(partition)) + VALID_MS
    const askedAt = performance.now()
    const reply = (await this.connection.ask(
      (client) =>
        scripts(client).orderTimersClaim(
          ...[due, leases, lease + token, tombstones, keysRemoved, lease, token, leaseMs, limit, skewMs],
          ...[
            this.keys.setsTimersOf(kind),
            validUntil,
            BURST.withinMs,
            BURST.dueForMs,
            BURST.keysRemoved,
            known,
            RESTORING_MS,
            isSwept ? 1 : '',
          ],
        ),
      operation('claim', kind, (reply) => ((reply as ClaimReply)[3] === '[]' ? undefined : 'write'), partition),
    )) as ClaimReply
    const [now, next, burstLeft, claimed, leaseEnds, epoch, lost] = reply
    if (epoch !== '') this.noteEpoch(kind, Number(epoch), partition)
    this.clock.note(Number(now), askedAt, partition)
    const timers = parsePairs(claimed)
    if (this.keys.inCluster) this.timerKeys.drop(this.connection.client, kind, timers.ids)
    return {
      ...{ token, ...timers, now: Number(now), next: optional(next), leaseEnds: optional(leaseEnds) },
      ...{ burstLeft: burstLeft === 1, lost: lost === 1 },
    }
  }

  /**
   * Takes overdue rows that the sweep found, all of one partition, unless they are claimed.
   * @param look at the second, also those that were settled a moment ago
   */
  takeOverdue(kind: string, token: string, leaseMs: number, ids: readonly string[], look: Look = 'first'): Promise<OverdueClaim> {
    return this.take(kind, token, leaseMs, look === 'second' ? 'second look' : 'sweep', ids)
  }

  /**
   * Takes orders whose external keys expired, all of one partition, unless they were taken so after their event was heard.
   * @param isSwept whether a sweep covers the rule; if not, also what is claimed or was settled before its event was heard
   */
  async takeExpired(
    kind: string,
    token: string,
    leaseMs: number,
    ids: readonly string[],
    heardAt?: HeardAt,
    isSwept = true,
  ): Promise<ExpiredClaim> {
    const via = isSwept ? 'event' : 'only event'
    const look = (client: Redis) => this.timerKeys.looked(client, kind, ids)
    const { without, unknown } = this.keys.inCluster ? await this.connection.ask(look) : { without: ids, unknown: [] }
    const taken = without.length > 0 ? await this.take(kind, token, leaseMs, via, without, heardAt) : { token, ids: [] }
    return { ...taken, unknown }
  }

  /** Extends a lease while its work goes on. @returns whether it was still held, and had not expired */
  async keep(kind: string, token: string, leaseMs: number, partition = 0): Promise<boolean> {
    const kept = await this.connection.ask(
      (client) => scripts(client).orderTimersKeep(this.keys.sets(kind, partition).leases, token, leaseMs),
      operation('keep', kind, (kept) => (kept === 1 ? 'memory' : undefined), partition),
    )
    return kept === 1
  }

  /**
   * Ends a claim in one partition. Ids without a disposition are settled and dropped.
   * @param skewMs what to add to Redis's clock
   * @returns whether the lease was still held
   * @throws OrderTimersError REDIS_UNAVAILABLE, also if this reached Redis too late to be carried out
   */
  async finish(
    kind: string,
    token: string,
    skewMs: number,
    dispositions: readonly Disposition[],
    { tombstone = 'settled', isRetry = false, partition = 0 }: FinishOptions = {},
  ): Promise<boolean> {
    const gone = dispositions.filter((one) => one.gone).map(({ id }) => id)
    const values = dispositions.flatMap((one) =>
      one.gone ? [] : [one.id, one.lapsed ? 'lapsed' : (one.delayMs ?? ''), one.failure ? failureText(one.failure, one.stack) : ''],
    )
    const validUntil = (await this.clock.now(partition)) + VALID_MS
    const askedAt = performance.now()
    const how = [token, tombstone, skewMs, validUntil, isRetry ? 'retry' : '', gone.length > 0 ? JSON.stringify(gone) : '']
    const wasHeld = await this.connection.ask(
      (client) => scripts(client).orderTimersFinish(...this.claimKeys(kind, token, partition), ...how, ...values),
      operation('finish', kind, (wasHeld) => (wasHeld === 1 ? 'write' : undefined), partition),
    )
    if (typeof wasHeld === 'number') return wasHeld === 1
    this.clock.note(Number(wasHeld), askedAt, partition) // the message came too late: perhaps Redis's clock was set
    throw new OrderTimersError('REDIS_UNAVAILABLE', `orderTimers: ${kind}: the end of a claim reached Redis too late`)
  }

  /** Gives a claim back as a whole. Safe to repeat, and for a claim that never arrived. @param skewMs what to add to Redis's clock */
  async release(kind: string, token: string, skewMs: number, partition = 0): Promise<void> {
    const { due, leases, lease } = this.keys.sets(kind, partition)
    await this.connection.ask(
      (client) => scripts(client).orderTimersRelease(due, leases, lease + token, token, skewMs),
      operation('release', kind, mayHaveWritten, partition),
    )
  }

  /** Records that the lost data of an index is armed again. */
  async restored(kind: string, partition = 0): Promise<void> {
    const epoch = await this.connection.ask(
      (client) => scripts(client).orderTimersRestored(this.keys.sets(kind, partition).due, this.knownEpoch(kind, partition)),
      operation('restore', kind, undefined, partition),
    )
    this.noteEpoch(kind, Number(epoch), partition)
  }

  private async take(
    kind: string,
    token: string,
    leaseMs: number,
    via: 'sweep' | 'second look' | 'event' | 'only event',
    ids: readonly string[],
    heardAt?: HeardAt,
  ): Promise<OverdueClaim> {
    const partition = this.keys.partitionOf(ids[0] ?? '')
    const values = [this.keys.sets(kind, partition).lease, token, leaseMs, via, this.keys.setsTimersOf(kind), JSON.stringify(ids)]
    const now = performance.now()
    const isEvent = via === 'event' || via === 'only event'
    if (isEvent) values.push(JSON.stringify(ids.map((id) => Math.ceil(now - (heardAt?.get(id) ?? now)))))
    const take = (client: Redis) => scripts(client).orderTimersTake(...this.claimKeys(kind, token, partition), ...values)
    const [taken, settledBefore, armed] = (await this.connection.ask(
      isEvent ? (client) => sentBy(now + AGES_VALID_MS, () => take(client)) : take,
      operation('claim', kind, (reply) => ((reply as TakeReply)[0] === '[]' ? undefined : 'write'), partition),
    )) as TakeReply
    if (armed !== undefined) this.timerKeys.drop(this.connection.client, kind, JSON.parse(armed))
    return { token, ids: JSON.parse(taken), settledBefore }
  }

  private claimKeys(kind: string, token: string, partition: number): [string, string, string, string, string] {
    const { due, leases, lease, tombstones, failures } = this.keys.sets(kind, partition)
    return [due, leases, lease + token, tombstones, failures]
  }
}
