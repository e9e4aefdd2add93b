// The due index: what is armed, by deadline, one sorted set for each kind, and a key for each timer. It only reads and writes: claims are
// in leases.ts, failed attempts in failed-timers.ts, and what to do when Redis does not answer is the caller's to decide.

import { type Keys, SWEEP_REQUEST } from '../keys.js'
import type { ArmedTimer } from './arm-batches.js'
import type { RedisConnection } from './connection.js'
import { loadScripts, mayHaveWritten, operation, probeWrites, scripts } from './script-calls.js'

export class DueIndex {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
  ) {
    connection.refusals.probe = () => probeWrites(connection, keys)
  }

  /** Loads the scripts into Redis before they are needed. Never rejects. */
  load(): Promise<void> {
    return loadScripts(this.connection)
  }

  /** Adds timers, or moves them. Safe to repeat. @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error */
  async arm(kind: string, timers: readonly ArmedTimer[], waitMs: number): Promise<void> {
    const { due, failures } = this.keys.sets(kind)
    const values: (string | number)[] = [due, failures, this.keys.wakeChannel, this.keys.timersOf(kind)]
    for (const { id, deadlineMs } of timers) values.push(deadlineMs, id)
    await this.connection.run(waitMs, (client) => scripts(client).orderTimersArm(...values), operation('arm', kind))
  }

  /** Adds timers that are missing or have a later deadline; each id has the deadline at the same place. @returns how many */
  async armMissing(kind: string, ids: readonly string[], deadlines: readonly number[]): Promise<number> {
    const { due, failures } = this.keys.sets(kind)
    const rows = [JSON.stringify(ids), JSON.stringify(deadlines)]
    const armed = await this.connection.ask(
      (client) => scripts(client).orderTimersArmMissing(due, failures, this.keys.wakeChannel, this.keys.timersOf(kind), ...rows),
      operation('arm', kind, (armed) => (Number(armed) > 0 ? 'memory' : undefined)),
    )
    return armed as number
  }

  /**
   * For orders whose deadlines a run has changed; each id has the deadline at the same place, null for none. What is neither armed nor due within
   * `horizonMs` is left to the sweep, and failures stay.
   */
  async move(kind: string, ids: readonly string[], deadlines: readonly (number | null)[], horizonMs: number): Promise<void> {
    const { due, failures, tombstones } = this.keys.sets(kind)
    const rows = [JSON.stringify(ids), JSON.stringify(deadlines)]
    await this.connection.ask(
      (client) =>
        scripts(client).orderTimersMove(due, failures, tombstones, this.keys.wakeChannel, this.keys.timersOf(kind), horizonMs, ...rows),
      operation('move', kind, mayHaveWritten),
    )
  }

  /**
   * Removes a timer, unless its deadline is not the given one.
   * @param toleranceMs for a key that another program set: how far its TTL may be from that deadline; left out, its TTL is not looked at
   * @returns whether there was one
   */
  async disarm(kind: string, id: string, deadlineMs: number | undefined, waitMs: number, toleranceMs: number | '' = ''): Promise<boolean> {
    const { due, failures, tombstones } = this.keys.sets(kind)
    const key = this.keys.timer(kind, id)
    const removed = await this.connection.run(
      waitMs,
      (client) => scripts(client).orderTimersDisarm(due, failures, tombstones, key, id, deadlineMs ?? '', toleranceMs),
      operation('disarm', kind, mayHaveWritten),
    )
    return removed === 1
  }

  /** Moves a deadline that only Redis knows. @returns the new one; undefined where there is no timer */
  async postpone(kind: string, id: string, byMs: number, waitMs: number): Promise<number | undefined> {
    return (await this.postponeFrom(undefined, kind, id, byMs, waitMs))?.after
  }

  /**
   * The same, unless the deadline is not the expected one any more.
   * @param byMs `now` makes it due now, where it is not yet
   * @param toleranceMs how far a TTL that was read a moment ago may be off
   * @returns the deadline before, and the new one, which is undefined where it was not moved; undefined where there is no timer
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
    const { due } = this.keys.sets(kind)
    const moved = (await this.connection.run(
      waitMs,
      (client) => scripts(client).orderTimersPostpone(due, key, id, byMs, expectedMs ?? '', toleranceMs),
      operation('postpone', kind, (moved) => ((moved as string[] | null)?.[1] === undefined ? undefined : 'memory')),
    )) as string[] | null
    return moved === null ? undefined : { before: Number(moved[0]), after: moved[1] === undefined ? undefined : Number(moved[1]) }
  }

  /** A deadline that only Redis knows, in milliseconds of its clock; that of an external key, too. */
  async deadline(kind: string, id: string, waitMs: number): Promise<number | undefined> {
    const score = await this.connection.run(waitMs, (client) => client.zscore(this.keys.sets(kind).due, id))
    if (score !== null) return Number(score)
    const [left, time] = await this.connection.run(waitMs, (client) => Promise.all([client.pttl(this.keys.timer(kind, id)), client.time()]))
    return left < 0 ? undefined : milliseconds(time) + left
  }

  /** The same for many ids, in two round trips at most. Ids without a timer are left out. */
  async deadlines(kind: string, ids: readonly string[], waitMs: number): Promise<Map<string, number>> {
    const scores = await this.connection.run(waitMs, (client) => client.zmscore(this.keys.sets(kind).due, ...ids))
    const deadlines = new Map(ids.flatMap((id, i) => (scores[i] == null ? [] : [[id, Number(scores[i])] as const])))
    const others = ids.filter((id) => !deadlines.has(id))
    if (others.length === 0) return deadlines
    const [time, ...left] = await this.connection.run(waitMs, (client) =>
      Promise.all([client.time(), ...others.map((id) => client.pttl(this.keys.timer(kind, id)))]),
    )
    const now = milliseconds(time)
    for (const [i, id] of others.entries()) if ((left[i] as number) >= 0) deadlines.set(id, now + (left[i] as number))
    return deadlines
  }

  /** The earliest deadline of a kind; undefined where nothing is armed. */
  async first(kind: string, waitMs: number): Promise<number | undefined> {
    const [, score] = await this.connection.run(waitMs, (client) => client.zrange(this.keys.sets(kind).due, '0', '0', 'WITHSCORES'))
    return score === undefined ? undefined : Number(score)
  }

  /** Asks all workers to sweep at once. @returns how many received it */
  requestSweep(waitMs: number): Promise<number> {
    return this.connection.run(waitMs, (client) => client.publish(this.keys.wakeChannel, SWEEP_REQUEST))
  }
}

function milliseconds([seconds, microseconds]: (number | string)[]): number {
  return Math.floor(Number(seconds) * 1_000 + Number(microseconds) / 1_000)
}
