// The due index: what is armed, by deadline, one sorted set for each kind, and claims in sets of their own. This is the only file that
// calls the scripts. It owns no policy: who claims, when, and what then becomes of it, is the worker's.

import type { Redis } from 'ioredis'
import { OrderTimersError } from '../errors.js'
import { type Keys, SWEEP_REQUEST } from '../keys.js'
import type { ArmedTimer } from './arm-batches.js'
import type { RedisClock } from './clock.js'
import type { RedisConnection } from './connection.js'
import type { Operation, Proof } from './refusals.js'
import { SCRIPTS } from './scripts.generated.js'

/**
 * A claim, or the end of one, that Redis gets later than this does nothing: nobody waits for its answer any more (a frozen Redis carries out
 * on waking what was sent to it meanwhile, and a network that was parted delivers it), and it may have been said again. Less than the silence
 * after which a connection is given up.
 */
const VALID_MS = 1_000

/**
 * A burst is more timers than one claim takes, due within `withinMs`. A claim removes at most `keysRemoved` of their keys, since Redis does
 * nothing else meanwhile. Timers due for longer than `dueForMs` are left out: Redis itself has expired their keys by then.
 */
export const BURST = { withinMs: 500, dueForMs: 5_000, keysRemoved: 5_000 }

type Call = (...values: (string | number)[]) => Promise<unknown>
type Scripted = Record<keyof typeof SCRIPTS, Call>

/** What a claim took. */
export interface Claim {
  token: string
  ids: string[]
}

export interface ClaimAnswer extends Claim {
  /** In milliseconds, of the id at the same place; ascending. */
  deadlines: number[]
  /** Redis's clock, milliseconds. */
  now: number
  /** The next deadline that the index holds, milliseconds; none where it is empty. */
  next: number | undefined
  /** Whether keys of a burst are left for the next claim to remove. */
  burstLeft: boolean
  /** When the first lease of an earlier claim ends, milliseconds of Redis's clock; none where nothing else is claimed. */
  leaseEnds: number | undefined
  /** The index has lost data, and this worker is to restore it. */
  lost: boolean
}

/** What is to come back to the index, to be let go, or is gone, when a claim ends; whatever else was claimed is settled, and forgotten. */
export interface Disposition {
  id: string
  gone?: true
  /** From now to when it is to be looked at again; none for a dead letter, for what is let go and is the next sweep's, and what is gone. */
  delayMs?: number | undefined
  failure?: Failure | undefined
}

/** Attempts of a rule's own that failed. */
export interface Failure {
  attempts: number
  error: string
  /** When the last attempt failed, ISO 8601. */
  at: string
  dead: boolean
}

/** How long one worker alone is told that data is lost; then another is, since that one may have died. */
const RESTORING_MS = 5_000

export class DueIndex {
  /** The newest epoch seen, by kind: an index with an older one has lost data. */
  private readonly epochs = new Map<string, number>()

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
    private readonly clock: RedisClock,
  ) {
    connection.refusals.probe = () => this.probe()
  }

  /** Gives Redis the scripts before they are needed, which spares the first claims a round trip. Where it refuses, they go with their first calls. */
  async load(): Promise<void> {
    const texts = Object.values(SCRIPTS).map(({ lua }) => lua)
    await this.connection.ask((client) => Promise.all(texts.map((lua) => client.script('LOAD', lua)))).catch(() => {})
  }

  /** Puts timers in. Safe to repeat. */
  async arm(kind: string, timers: readonly ArmedTimer[], patienceMs: number): Promise<void> {
    const { due, failures } = this.keys.sets(kind)
    const values: (string | number)[] = [due, failures, this.keys.wakeChannel, this.keys.timersOf(kind)]
    for (const { id, deadlineMs } of timers) values.push(deadlineMs, id)
    await this.connection.run(patienceMs, (client) => scripts(client).orderTimersArm(...values), operation('arm', kind))
  }

  /** Puts in what is missing or stands too late; each id has the deadline at the same place. @returns how many */
  async armMissing(kind: string, ids: readonly string[], deadlines: readonly number[]): Promise<number> {
    const { due, failures } = this.keys.sets(kind)
    const rows = [JSON.stringify(ids), JSON.stringify(deadlines)]
    return (await this.call(
      (client) => client.orderTimersArmMissing(due, failures, this.keys.wakeChannel, this.keys.timersOf(kind), ...rows),
      operation('arm', kind, (armed) => (Number(armed) > 0 ? 'memory' : undefined)),
    )) as number
  }

  /** Takes a timer out, unless it has another deadline than the one given by now. @returns whether there was one */
  async disarm(kind: string, id: string, deadlineMs: number | undefined, patienceMs: number): Promise<boolean> {
    const { due, failures, tombstones } = this.keys.sets(kind)
    const key = this.keys.timer(kind, id)
    const removed = await this.connection.run(
      patienceMs,
      (client) => scripts(client).orderTimersDisarm(due, failures, tombstones, key, id, deadlineMs ?? ''),
      operation('disarm', kind, maybe),
    )
    return removed === 1
  }

  /** Moves a deadline that Redis alone knows. @returns the new one, undefined where there is no timer */
  async postpone(kind: string, id: string, byMs: number, patienceMs: number): Promise<number | undefined> {
    const key = this.keys.timer(kind, id)
    const deadline = await this.connection.run(
      patienceMs,
      (client) => scripts(client).orderTimersPostpone(this.keys.sets(kind).due, key, id, byMs),
      operation('postpone', kind, (deadline) => (deadline === null ? undefined : 'memory')),
    )
    return deadline === null ? undefined : Number(deadline)
  }

  /** A deadline that Redis alone knows, in milliseconds of its clock; a key that somebody else set counts too. */
  async deadline(kind: string, id: string, patienceMs: number): Promise<number | undefined> {
    const score = await this.connection.run(patienceMs, (client) => client.zscore(this.keys.sets(kind).due, id))
    if (score !== null) return Number(score)
    const [left, [seconds, microseconds]] = await this.connection.run(patienceMs, (client) =>
      Promise.all([client.pttl(this.keys.timer(kind, id)), client.time()]),
    )
    return left < 0 ? undefined : Math.floor(Number(seconds) * 1_000 + Number(microseconds) / 1_000) + left
  }

  /** The same for many, in two round trips at most. What has no timer is left out. */
  async deadlines(kind: string, ids: readonly string[], patienceMs: number): Promise<Map<string, number>> {
    const scores = await this.connection.run(patienceMs, (client) => client.zmscore(this.keys.sets(kind).due, ...ids))
    const deadlines = new Map(ids.flatMap((id, i) => (scores[i] == null ? [] : [[id, Number(scores[i])] as const])))
    const others = ids.filter((id) => !deadlines.has(id))
    if (others.length === 0) return deadlines
    const [[seconds, microseconds], ...left] = await this.connection.run(patienceMs, (client) =>
      Promise.all([client.time(), ...others.map((id) => client.pttl(this.keys.timer(kind, id)))]),
    )
    const now = Math.floor(Number(seconds) * 1_000 + Number(microseconds) / 1_000)
    for (const [i, id] of others.entries()) if ((left[i] as number) >= 0) deadlines.set(id, now + (left[i] as number))
    return deadlines
  }

  /** Takes the oldest timers that are due. `skewMs` is added to Redis's clock. */
  async claim(
    kind: string,
    token: string,
    { limit, leaseMs, skewMs }: { limit: number; leaseMs: number; skewMs: number },
  ): Promise<ClaimAnswer> {
    const known = this.epochs.get(kind) ?? 0
    const { due, leases, lease, tombstones, keysRemoved } = this.keys.sets(kind)
    const validUntil = (await this.clock.now()) + VALID_MS
    const askedAt = performance.now()
    const answer = (await this.call(
      (client) =>
        client.orderTimersClaim(
          ...[due, leases, lease + token, tombstones, keysRemoved, lease, token, leaseMs, limit, skewMs],
          ...[this.keys.timersOf(kind), validUntil, BURST.withinMs, BURST.dueForMs, BURST.keysRemoved, known, RESTORING_MS],
        ),
      operation('claim', kind, (answer) => ((answer as string[])[3] === '[]' ? undefined : 'write')),
    )) as [now: string, next: string, burstLeft: number, claimed: string, leaseEnds: string, epoch: string, lost: number]
    if (answer[5] !== '') this.epochs.set(kind, Number(answer[5]))
    this.clock.note(Number(answer[0]), askedAt)
    const claimed: string[] = JSON.parse(answer[3])
    const ids: string[] = []
    const deadlines: number[] = []
    for (let i = 0; i < claimed.length; i += 2) {
      ids.push(claimed[i] as string)
      deadlines.push(Number(claimed[i + 1]))
    }
    const next = answer[1] === '' ? undefined : Number(answer[1])
    const leaseEnds = answer[4] === '' ? undefined : Number(answer[4])
    return { token, ids, deadlines, now: Number(answer[0]), next, burstLeft: answer[2] === 1, leaseEnds, lost: answer[6] === 1 }
  }

  /** What the index had lost is armed again. */
  async restored(kind: string): Promise<void> {
    const epoch = await this.call(
      (client) => client.orderTimersRestored(this.keys.sets(kind).due, this.epochs.get(kind) ?? 0),
      operation('restore', kind),
    )
    this.epochs.set(kind, Number(epoch))
  }

  /** Takes overdue rows that the sweep found, unless somebody has them in hand. */
  takeOverdue(kind: string, token: string, leaseMs: number, ids: readonly string[]): Promise<Claim> {
    return this.take(kind, token, leaseMs, 'sweep', ids)
  }

  /** Takes what expired under a key that somebody else had set. */
  takeExpired(kind: string, token: string, leaseMs: number, ids: readonly string[]): Promise<Claim> {
    return this.take(kind, token, leaseMs, 'event', ids)
  }

  /**
   * Ends a claim: `dispositions` come back or are let go, the rest is forgotten. Said `again`, it does nothing where it was carried out before.
   * @returns whether the claim was still ours
   * @throws OrderTimersError REDIS_UNAVAILABLE, also where Redis got it too late to carry it out
   */
  async finish(
    kind: string,
    token: string,
    skewMs: number,
    dispositions: readonly Disposition[],
    { tombstone = 'settled', again = false }: { tombstone?: 'settled' | 'external'; again?: boolean } = {},
  ): Promise<boolean> {
    const gone = dispositions.filter((one) => one.gone).map(({ id }) => id)
    const values = dispositions.flatMap((one) =>
      one.gone ? [] : [one.id, one.delayMs ?? '', one.failure ? JSON.stringify(one.failure) : ''],
    )
    const validUntil = (await this.clock.now()) + VALID_MS
    const askedAt = performance.now()
    const how = [token, tombstone, skewMs, validUntil, again ? 'retry' : '', gone.length > 0 ? JSON.stringify(gone) : '']
    const ours = await this.call(
      (client) => client.orderTimersFinish(...this.claimKeys(kind, token), ...how, ...values),
      operation('finish', kind, (ours) => (ours === 1 ? 'write' : undefined)),
    )
    if (typeof ours === 'number') return ours === 1
    this.clock.note(Number(ours), askedAt) // it may be the clock that was set
    throw new OrderTimersError('REDIS_UNAVAILABLE', `orderTimers: ${kind}: Redis got the end of a claim too late`)
  }

  /** Gives a claim back whole. Safe to repeat, and for a claim that was never carried out. `skewMs` is added to Redis's clock. */
  async release(kind: string, token: string, skewMs: number): Promise<void> {
    const { due, leases, lease } = this.keys.sets(kind)
    await this.call((client) => client.orderTimersRelease(due, leases, lease + token, token, skewMs), operation('release', kind, maybe))
  }

  /** Keeps a claim while its work goes on. @returns whether it was still ours, and had not lapsed */
  async keep(kind: string, token: string, leaseMs: number): Promise<boolean> {
    const kept = await this.call(
      (client) => client.orderTimersKeep(this.keys.sets(kind).leases, token, leaseMs),
      operation('keep', kind, (kept) => (kept === 1 ? 'memory' : undefined)),
    )
    return kept === 1
  }

  /** The failures kept for these ids. */
  async failures(kind: string, ids: readonly string[]): Promise<Map<string, Failure>> {
    const values = await this.connection.ask((client) => client.hmget(this.keys.sets(kind).failures, ...ids))
    return new Map(ids.flatMap((id, i) => (values[i] ? [[id, JSON.parse(values[i]) as Failure] as const] : [])))
  }

  /** The dead letters of a kind. */
  async dead(kind: string, patienceMs: number): Promise<Map<string, Failure>> {
    return new Map([...(await this.allFailures(kind, patienceMs))].filter(([, { dead }]) => dead))
  }

  /** All failures that are kept of a kind: orders that wait for another attempt, and dead letters. */
  async allFailures(kind: string, patienceMs: number): Promise<Map<string, Failure>> {
    // By its name in capitals: a shop may have set a transformer of ioredis's for `hgetall`, which all clients of a process share.
    const { failures } = this.keys.sets(kind)
    const values = (await this.connection.run(patienceMs, (client) => client.call('HGETALL', failures))) as string[]
    const all = new Map<string, Failure>()
    for (let i = 0; i < values.length; i += 2) all.set(values[i] as string, JSON.parse(values[i + 1] as string))
    return all
  }

  /** Puts a dead letter back. @returns whether there was one */
  async revive(kind: string, id: string, patienceMs: number): Promise<boolean> {
    const { due, failures } = this.keys.sets(kind)
    const revived = await this.connection.run(
      patienceMs,
      (client) => scripts(client).orderTimersRevive(due, failures, id, this.keys.wakeChannel),
      operation('revive', kind, maybe),
    )
    return revived === 1
  }

  /** Asks all workers to sweep at once. @returns how many heard it */
  requestSweep(patienceMs: number): Promise<number> {
    return this.connection.run(patienceMs, (client) => client.publish(this.keys.wakeChannel, SWEEP_REQUEST))
  }

  private async take(kind: string, token: string, leaseMs: number, how: 'sweep' | 'event', ids: readonly string[]): Promise<Claim> {
    const { lease } = this.keys.sets(kind)
    const json = JSON.stringify(ids)
    const taken = (await this.call(
      (client) => client.orderTimersTake(...this.claimKeys(kind, token), lease, token, leaseMs, how, this.keys.timersOf(kind), json),
      operation('claim', kind, (taken) => (taken === '[]' ? undefined : 'write')),
    )) as string
    return { token, ids: JSON.parse(taken) }
  }

  private claimKeys(kind: string, token: string): [string, string, string, string, string] {
    const { due, leases, lease, tombstones, failures } = this.keys.sets(kind)
    return [due, leases, lease + token, tombstones, failures]
  }

  /** Writes as all scripts together do, and leaves nothing behind. */
  private async probe(): Promise<void> {
    const { string, set, zset, hash, none } = this.keys.writeProbe
    await this.call((client) => client.orderTimersProbe(string, set, zset, hash, none), operation('probe', '', always))
  }

  private call(script: (client: Scripted) => Promise<unknown>, operation: Operation): Promise<unknown> {
    return this.connection.ask((client) => script(scripts(client)), operation)
  }
}

function operation(what: string, kind: string, proves: (answer: unknown) => Proof = always): Operation {
  return { what: kind === '' ? what : `${what} ${kind}`, proves }
}

/** It has written what takes memory. */
function always(): Proof {
  return 'memory'
}

/** It may not have written. */
function maybe(): Proof {
  return undefined
}

/** ioredis defines each script as a method of the client; its types cannot know. */
function scripts(client: Redis): Scripted {
  return client as unknown as Scripted
}
