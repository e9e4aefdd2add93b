// What the sweep records for others: when any worker of this prefix last read a rule's overdue rows, and how many orders without a deadline
// were counted. By Redis's clock, so that no process's own clock matters. Invalid records, and those from the future, are ignored.

import type { Keys } from '../keys.js'
import type { RedisClock } from './clock.js'
import type { RedisConnection } from './connection.js'
import { FUTURE_MS } from './process-records.js'

/** Longer than three intervals of a monthly schedule. */
const KEPT_MS = 120 * 86_400_000

export class SweepMarks {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
    private readonly clock: RedisClock,
  ) {}

  /** Records that this rule was read now. Never rejects: without a record the other workers read from Postgres. */
  async note(kind: string): Promise<void> {
    try {
      const now = await this.clock.now()
      await this.connection.ask((client) => client.set(this.keys.sets(kind).read, now, 'PX', KEPT_MS))
    } catch {
      // reported by the commands that matter
    }
  }

  /** How many milliseconds ago a worker last read this rule; undefined if none did, or Redis does not answer. */
  async age(kind: string): Promise<number | undefined> {
    try {
      const noted = await this.connection.ask((client) => client.get(this.keys.sets(kind).read))
      return noted === null ? undefined : ageOfMark(noted, await this.clock.now())
    } catch {
      return undefined
    }
  }

  /** Records how many orders have no deadline. Never rejects. */
  async noteUndated(kind: string, count: number): Promise<void> {
    try {
      const now = await this.clock.now()
      await this.connection.ask((client) => client.set(this.keys.sets(kind).undated, `${count} ${now}`, 'PX', KEPT_MS))
    } catch {
      // reported by the commands that matter
    }
  }

  /** The last count of them, and how many milliseconds old it is; undefined if nobody counted, or Redis does not answer. */
  async undated(kind: string): Promise<{ count: number; ageMs: number } | undefined> {
    try {
      const noted = await this.connection.ask((client) => client.get(this.keys.sets(kind).undated))
      if (noted === null) return undefined
      const [, count, at = ''] = /^(\d{1,15}) (\d+)$/.exec(noted) ?? []
      const ageMs = ageOfMark(at, await this.clock.now())
      return ageMs === undefined ? undefined : { count: Number(count), ageMs }
    } catch {
      return undefined
    }
  }
}

/** @param noted milliseconds, as text @param now Redis's clock @returns undefined if that is no instant, or one that no failover explains */
export function ageOfMark(noted: string, now: number): number | undefined {
  if (!/^\d{1,15}$/.test(noted) || Number(noted) > now + FUTURE_MS) return undefined
  return Math.max(0, now - Number(noted))
}
