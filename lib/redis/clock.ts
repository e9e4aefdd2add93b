// Redis's clock: asked once in a while, noted from each claim's answer, and estimated in between. So an absolute deadline can be had
// without asking each time.

import { ClockEstimate } from '../clock-estimate.js'
import type { RedisConnection } from './connection.js'

const FRESH_MS = 60_000
const PATIENCE_MS = 200

export class RedisClock {
  private readonly estimate = new ClockEstimate()

  constructor(private readonly connection: RedisConnection) {
    connection.onDown(() => this.estimate.forget())
  }

  /** @returns Redis's time in milliseconds, rounded. @throws OrderTimersError REDIS_UNAVAILABLE */
  async now(): Promise<number> {
    if (this.estimate.age > FRESH_MS || this.estimate.now() === undefined) await this.ask()
    return Math.round(this.estimate.now() as number)
  }

  /** The time without asking, with fractions; undefined where it is not known. */
  known(): number | undefined {
    return this.estimate.now()
  }

  /** By how many milliseconds the reading in use may have been wrong. */
  get readingError(): number {
    return this.estimate.readingError
  }

  /** Takes over Redis's time, in milliseconds, that came with another answer. */
  note(redisMs: number, askedAt: number): void {
    this.estimate.note(redisMs, askedAt, performance.now())
  }

  private async ask(): Promise<void> {
    const askedAt = performance.now()
    const [seconds, microseconds] = await this.connection.run(PATIENCE_MS, (client) => client.time())
    this.estimate.note(Number(seconds) * 1_000 + Number(microseconds) / 1_000, askedAt, performance.now())
  }
}
