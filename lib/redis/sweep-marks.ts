// When any worker of this prefix last read a rule's overdue rows. By Redis's clock, so that no process's own clock matters.

import type { Keys } from '../keys.js'
import type { RedisClock } from './clock.js'
import type { RedisConnection } from './connection.js'

/** Longer than three intervals of a monthly schedule. */
const KEPT_MS = 120 * 86_400_000

export class SweepMarks {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
    private readonly clock: RedisClock,
  ) {}

  /** Notes that this rule was read now. Never rejects: without a note the other workers read from Postgres. */
  async note(kind: string): Promise<void> {
    try {
      const now = await this.clock.now()
      await this.connection.ask((client) => client.set(this.keys.sets(kind).read, now, 'PX', KEPT_MS))
    } catch {
      // reported by the commands that matter
    }
  }

  /** How many milliseconds ago a worker last read this rule; undefined where none did, or Redis does not answer. */
  async age(kind: string): Promise<number | undefined> {
    try {
      const noted = await this.connection.ask((client) => client.get(this.keys.sets(kind).read))
      return noted === null ? undefined : Math.max(0, (await this.clock.now()) - Number(noted))
    } catch {
      return undefined
    }
  }
}
