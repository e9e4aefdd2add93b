// A rate limit shared by all workers of a prefix: how many orders of a rule the payment service is asked about in a second.

import type { Keys } from '../keys.js'
import type { RedisConnection } from './connection.js'
import { mayHaveWritten, operation, scripts } from './script-calls.js'

export class SharedPace {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
  ) {}

  /**
   * Reserves `count`, unless that would mean waiting longer than `mostMs`.
   * @returns milliseconds until they may begin; undefined if Redis does not answer
   */
  async reserve(kind: string, count: number, perSecond: number, mostMs: number): Promise<number | undefined> {
    if (!this.connection.usable) return undefined
    try {
      const { pace } = this.keys.sets(kind)
      const waitMs = await this.connection.ask(
        (client) => scripts(client).orderTimersPace(pace, count, perSecond, mostMs),
        operation('pace', kind, mayHaveWritten),
      )
      return Number(waitMs)
    } catch {
      return undefined // its connection reports that; each worker then limits the rate by itself
    }
  }
}
