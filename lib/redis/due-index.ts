// The due index: what is armed, by deadline, one sorted set for each kind, in a cluster one for each partition of it, and a key for each timer. It only
// reads and writes: claims are in leases.ts, failed attempts in failed-timers.ts, and what to do when Redis does not answer is the caller's to decide.

import type { Redis } from 'ioredis'
import { type Keys, SWEEP_REQUEST } from '../keys.js'
import type { ArmedTimer } from './arm-batches.js'
import { ClusterTimers } from './cluster-timers.js'
import type { RedisConnection } from './connection.js'
import { NodeBatches, type Sender } from './node-batches.js'
import { at, eachPart, everyPart } from './parts.js'
import { loadScripts, mayHaveWritten, operation, probeWrites, scripts } from './script-calls.js'
import { TimerKeys } from './timer-keys.js'
import { isRedisTrouble } from './trouble.js'

export class DueIndex {
  private readonly batches = new NodeBatches()
  private readonly timerKeys: TimerKeys
  private readonly inCluster: ClusterTimers

  constructor(
    readonly connection: RedisConnection,
    readonly keys: Keys,
  ) {
    this.timerKeys = new TimerKeys(keys, this.batches)
    this.inCluster = new ClusterTimers(keys, this.timerKeys)
    connection.refusals.probe = (partition) => probeWrites(connection, keys, partition)
    connection.refusals.partitions = () => keys.everyPartition
    connection.refusals.isParted = keys.inCluster
  }

  /** The partition of an id; timers of different partitions cannot be armed in one call. */
  partitionOf(id: string): number {
    return this.keys.partitionOf(id)
  }

  /** Loads the scripts into Redis before they are needed. Never rejects. */
  load(): Promise<void> {
    return loadScripts(this.connection)
  }

  /**
   * Adds timers, all of one partition, or moves them. Safe to repeat.
   * @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error
   */
  async arm(kind: string, timers: readonly ArmedTimer[], waitMs: number): Promise<void> {
    const partition = this.keys.partitionOf(timers[0]?.id ?? '')
    const { due, failures } = this.keys.sets(kind, partition)
    const values: (string | number)[] = [due, failures, this.keys.wakeChannel, this.keys.setsTimersOf(kind)]
    for (const { id, deadlineMs } of timers) values.push(deadlineMs, id)
    const arm = (client: Sender) => scripts(client).orderTimersArm(...values)
    const inCluster = (client: Redis) => this.batches.add(client, due, arm).then(() => this.timerKeys.set(client, kind, timers))
    await this.connection.run<unknown>(waitMs, this.keys.inCluster ? inCluster : arm, operation('arm', kind, undefined, partition))
  }

  /**
   * Adds timers that are missing or have a later deadline; each id has the deadline at the same index.
   * @param away partitions to skip; one that does not answer is added. Without this set, that error is thrown
   * @returns how many
   * @throws other errors of a call
   */
  async armMissing(kind: string, ids: readonly string[], deadlines: readonly number[], away?: Set<number>): Promise<number> {
    const armed = await eachPart(this.keys, ids, async (places, partition) => {
      if (away?.has(partition)) return 0
      const { due, failures } = this.keys.sets(kind, partition)
      const rows = [JSON.stringify(at(ids, places)), JSON.stringify(at(deadlines, places))]
      const arm = this.connection.ask(
        (client) => scripts(client).orderTimersArmMissing(due, failures, this.keys.wakeChannel, this.keys.setsTimersOf(kind), ...rows),
        operation('arm', kind, (armed) => ((armed as number[]).length > 0 ? 'memory' : undefined), partition),
      )
      return arm.then(
        (armed) => this.keysSet(kind, ids, deadlines, places, armed as number[]),
        (error) => noteAway(error, partition, away) ?? 0,
      )
    })
    return armed.reduce((sum, count) => sum + count, 0)
  }

  /**
   * For orders whose deadlines a run has changed; each id has the deadline at the same index, null for none. What is neither armed nor due within
   * `horizonMs` is left to the sweep, and failures stay.
   */
  async move(kind: string, ids: readonly string[], deadlines: readonly (number | null)[], horizonMs: number): Promise<void> {
    await eachPart(this.keys, ids, async (places, partition) => {
      const { due, failures, tombstones } = this.keys.sets(kind, partition)
      const rows = [JSON.stringify(at(ids, places)), JSON.stringify(at(deadlines, places))]
      const prefix = this.keys.setsTimersOf(kind)
      const moved = await this.connection.ask(
        (client) => scripts(client).orderTimersMove(due, failures, tombstones, this.keys.wakeChannel, prefix, horizonMs, ...rows),
        operation('move', kind, mayHaveWritten, partition),
      )
      const gone = at(ids, places).filter((_, i) => deadlines[places[i] as number] === null)
      if (this.keys.inCluster) this.timerKeys.drop(this.connection.client, kind, gone)
      await this.keysSet(kind, ids, deadlines as readonly number[], places, moved as number[])
    })
  }

  /**
   * Removes a timer if it has the given deadline.
   * @param toleranceMs for a key that another program set: how far its TTL may differ from that deadline; if left out, its TTL is not compared
   * @returns whether there was one
   */
  async disarm(kind: string, id: string, deadlineMs: number | undefined, waitMs: number, toleranceMs: number | '' = ''): Promise<boolean> {
    const partition = this.keys.partitionOf(id)
    const { due, failures, tombstones } = this.keys.sets(kind, partition)
    const disarm = (client: Redis) =>
      this.keys.inCluster
        ? this.inCluster.disarm(client, kind, id, deadlineMs, toleranceMs, waitMs)
        : scripts(client).orderTimersDisarm(4, due, failures, tombstones, this.keys.timer(kind, id), id, deadlineMs ?? '', toleranceMs)
    return (await this.connection.run<unknown>(waitMs, disarm, operation('disarm', kind, mayHaveWritten, partition))) === 1
  }

  /** Moves a deadline that only Redis knows. @returns the new one; undefined if there is no timer */
  async postpone(kind: string, id: string, byMs: number, waitMs: number): Promise<number | undefined> {
    return (await this.postponeFrom(undefined, kind, id, byMs, waitMs))?.after
  }

  /**
   * The same, unless the deadline is not the expected one any more.
   * @param byMs `now` makes it due now, if it is not yet
   * @param toleranceMs how far a TTL that was read a moment ago may differ
   * @returns the deadline before, and the new one, which is undefined if it was not moved; undefined if there is no timer
   */
  async postponeFrom(
    expectedMs: number | undefined,
    kind: string,
    id: string,
    byMs: number | 'now',
    waitMs: number,
    toleranceMs = 0,
  ): Promise<{ before: number; after: number | undefined } | undefined> {
    const key = this.keys.timer(kind, id)
    const partition = this.keys.partitionOf(id)
    const { due } = this.keys.sets(kind, partition)
    const how = [this.keys.wakeChannel, id, byMs, expectedMs ?? '', toleranceMs]
    const postpone = async (client: Redis) =>
      this.keys.inCluster
        ? this.inCluster.postpone(client, kind, id, how)
        : ((await scripts(client).orderTimersPostpone(2, due, key, ...how)) as string[] | null)
    const proves = (moved: string[] | null) => (moved?.[1] === undefined ? undefined : 'memory')
    const moved = await this.connection.run<string[] | null>(
      waitMs,
      postpone,
      operation('postpone', kind, (moved) => proves(moved as string[] | null), partition),
    )
    return moved === null ? undefined : { before: Number(moved[0]), after: moved[1] === undefined ? undefined : Number(moved[1]) }
  }

  /** A deadline only in Redis, in milliseconds of its clock; also that of an external key. */
  async deadline(kind: string, id: string, waitMs: number): Promise<number | undefined> {
    const { due } = this.keys.sets(kind, this.keys.partitionOf(id))
    const score = await this.connection.run(waitMs, (client) => client.zscore(due, id))
    if (score !== null) return Number(score)
    if (this.keys.inCluster) return this.connection.run(waitMs, (client) => this.timerKeys.expiry(client, kind, id))
    const [left, time] = await this.connection.run(waitMs, (client) => Promise.all([client.pttl(this.keys.timer(kind, id)), client.time()]))
    return left < 0 ? undefined : milliseconds(time) + left
  }

  /** The same for many ids, in two round trips at most. Ids without a timer are left out. */
  async deadlines(kind: string, ids: readonly string[], waitMs: number): Promise<Map<string, number>> {
    const deadlines = await this.armed(kind, ids, waitMs)
    const others = ids.filter((id) => !deadlines.has(id))
    if (others.length === 0) return deadlines
    if (this.keys.inCluster) {
      const expiries = await this.connection.run(waitMs, (client) =>
        Promise.all(others.map((id) => this.timerKeys.expiry(client, kind, id))),
      )
      for (const [i, id] of others.entries()) if (expiries[i] !== undefined) deadlines.set(id, expiries[i])
      return deadlines
    }
    const [time, ...left] = await this.connection.run(waitMs, (client) =>
      Promise.all([client.time(), ...others.map((id) => client.pttl(this.keys.timer(kind, id)))]),
    )
    const now = milliseconds(time)
    for (const [i, id] of others.entries()) if ((left[i] as number) >= 0) deadlines.set(id, now + (left[i] as number))
    return deadlines
  }

  /**
   * The deadlines of the ids that are in the index.
   * @param away gets the partitions that do not answer. Without this set, that error is thrown
   */
  async armed(kind: string, ids: readonly string[], waitMs: number, away?: Set<number>): Promise<Map<string, number>> {
    const deadlines = new Map<string, number>()
    await eachPart(this.keys, ids, async (places, partition) => {
      const part = at(ids, places)
      const ask = this.connection.run(waitMs, (client) => client.zmscore(this.keys.sets(kind, partition).due, ...part))
      const scores = await ask.catch((error) => noteAway(error, partition, away) ?? [])
      for (const [i, id] of part.entries()) if (scores[i] != null) deadlines.set(id, Number(scores[i]))
    })
    return deadlines
  }

  /** How many are armed; where an instant is given, until then. */
  async count(kind: string, waitMs: number, untilMs?: number): Promise<number> {
    const counts = await everyPart(this, waitMs, (client, partition) => {
      const { due } = this.keys.sets(kind, partition)
      return untilMs === undefined ? client.zcard(due) : client.zcount(due, '-inf', untilMs)
    })
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /** The earliest deadline of a kind; undefined if nothing is armed. */
  async first(kind: string, waitMs: number): Promise<number | undefined> {
    return (await this.between(kind, '-inf', '+inf', 1, waitMs))[0]?.deadlineMs
  }

  /**
   * By deadline, and then by id.
   * @param min and `max` as in ZRANGE BYSCORE
   * @param offset how many to skip
   */
  async between(kind: string, min: string, max: string, most: number, waitMs: number, offset = 0): Promise<ArmedTimer[]> {
    const [skip, count] = this.keys.partitions === 1 ? [offset, most] : [0, offset + most]
    const lists = await everyPart(this, waitMs, (client, partition) =>
      client.zrange(this.keys.sets(kind, partition).due, min, max, 'BYSCORE', 'LIMIT', skip, count, 'WITHSCORES'),
    )
    const timers = lists.flatMap((flat) => flat.flatMap((id, i) => (i % 2 === 0 ? [{ id, deadlineMs: Number(flat[i + 1]) }] : [])))
    return lists.length === 1 ? timers : timers.sort(byDeadline).slice(offset, offset + most)
  }

  /** Asks all workers to sweep at once. @returns how many received it */
  requestSweep(waitMs: number): Promise<number> {
    return this.connection.run(waitMs, (client) => client.publish(this.keys.wakeChannel, SWEEP_REQUEST))
  }

  /** @param armed a script's result: indexes in its partition's list, from 1 @returns how many */
  private async keysSet(kind: string, ids: readonly string[], deadlines: readonly number[], places: readonly number[], armed: number[]) {
    if (!this.keys.inCluster) return armed.length
    const timers = at(
      places,
      armed.map((place) => place - 1),
    ).map((place) => ({ id: ids[place] as string, deadlineMs: deadlines[place] as number }))
    await this.timerKeys.set(this.connection.client, kind, timers)
    return armed.length
  }
}

/** @throws the error, unless a partition does not answer and `away` records that */
function noteAway(error: unknown, partition: number, away: Set<number> | undefined): undefined {
  if (!away || !isRedisTrouble(error)) throw error
  away.add(partition)
}

function byDeadline(one: ArmedTimer, other: ArmedTimer): number {
  return one.deadlineMs - other.deadlineMs || Buffer.compare(Buffer.from(one.id), Buffer.from(other.id))
}

function milliseconds([seconds, microseconds]: (number | string)[]): number {
  return Math.floor(Number(seconds) * 1_000 + Number(microseconds) / 1_000)
}
