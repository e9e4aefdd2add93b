// Redis's clock, as this process estimates it: read from each claim's reply and otherwise once a minute, so that an absolute deadline needs
// no round trip.

import { ClockEstimate } from '../clock-estimate.js'
import type { RedisConnection } from './connection.js'

const FRESH_MS = 60_000
const WAIT_MS = 200

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

  /** The estimate, with fractions; undefined where there is none. Asks nobody. */
  known(): number | undefined {
    return this.estimate.now()
  }

  /** The error bound of the reading in use, milliseconds. */
  get readingError(): number {
    return this.estimate.readingError
  }

  /**
   * How far this process's wall clock is ahead of Redis's at least, whole milliseconds: what the round trip of the reading explains, such as that of
   * a process that gets little CPU, is no difference. Undefined where there is no estimate. Asks nobody.
   */
  ownAhead(): number | undefined {
    return this.estimate.leastAhead(Date.now())
  }

  /** Notes Redis's time, in milliseconds, from the reply to a command. @param askedAt when it was sent, by `performance.now()` */
  note(redisMs: number, askedAt: number): void {
    this.estimate.note(redisMs, askedAt, performance.now())
  }

  private async ask(): Promise<void> {
    const askedAt = performance.now()
    const [seconds, microseconds] = await this.connection.run(WAIT_MS, (client) => client.time())
    this.estimate.note(Number(seconds) * 1_000 + Number(microseconds) / 1_000, askedAt, performance.now())
  }
}
