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

  /** Removes a timer, unless its deadline is not the given one. @returns whether there was one */
  async disarm(kind: string, id: string, deadlineMs: number | undefined, waitMs: number): Promise<boolean> {
    const { due, failures, tombstones } = this.keys.sets(kind)
    const key = this.keys.timer(kind, id)
    const removed = await this.connection.run(
      waitMs,
      (client) => scripts(client).orderTimersDisarm(due, failures, tombstones, key, id, deadlineMs ?? ''),
      operation('disarm', kind, mayHaveWritten),
    )
    return removed === 1
  }

  /** Moves a deadline that only Redis knows. @returns the new one; undefined where there is no timer */
  async postpone(kind: string, id: string, byMs: number, waitMs: number): Promise<number | undefined> {
    const key = this.keys.timer(kind, id)
    const deadline = await this.connection.run(
      waitMs,
      (client) => scripts(client).orderTimersPostpone(this.keys.sets(kind).due, key, id, byMs),
      operation('postpone', kind, (deadline) => (deadline === null ? undefined : 'memory')),
    )
    return deadline === null ? undefined : Number(deadline)
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
