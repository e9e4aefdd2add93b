// Redis's clock, as this process estimates it: read from each claim's reply and otherwise once a minute, so that an absolute deadline needs
// no round trip. In a cluster each partition has the clock of the node that has it, and nodes' clocks may differ.

import type { Redis } from 'ioredis'
import { ClockEstimate } from '../clock-estimate.js'
import type { Keys } from '../keys.js'
import type { RedisConnection } from './connection.js'
import { scripts } from './script-calls.js'

const FRESH_MS = 60_000
const WAIT_MS = 200

export class RedisClock {
  private readonly estimates = [new ClockEstimate()]

  /** @param keys of a cluster; left out, one server has the clock */
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys?: Pick<Keys, 'inCluster' | 'partitionOf' | 'sets' | 'onPartitions'>,
  ) {
    const forget = () => {
      for (const estimate of this.estimates) estimate.forget()
    }
    connection.onDown(forget)
    keys?.onPartitions(forget) // each is on another node now
  }

  /** @returns Redis's time in milliseconds, rounded. @throws OrderTimersError REDIS_UNAVAILABLE */
  async now(partition = 0): Promise<number> {
    const estimate = this.of(partition)
    if (estimate.age > FRESH_MS || estimate.now() === undefined) await this.ask(partition)
    return Math.round(estimate.now() as number)
  }

  /** The clock that decides when the timer with this id is due. @throws as `now` */
  nowFor(id: string): Promise<number> {
    return this.now(this.keys?.partitionOf(id))
  }

  /** The estimate, with fractions; undefined if there is none. Sends no command. */
  known(partition = 0): number | undefined {
    return this.of(partition).now()
  }

  /** The error bound of the reading in use, milliseconds. */
  readingError(partition = 0): number {
    return this.of(partition).readingError
  }

  /**
   * The minimum by which this process's wall clock is ahead of Redis's, whole milliseconds. A difference that the round trip of the reading can explain
   * counts as 0. Undefined if there is no estimate. Sends no command.
   */
  ownAhead(): number | undefined {
    return this.of(0).leastAhead(Date.now())
  }

  /** Notes Redis's time, in milliseconds, from the reply to a command. @param askedAt when it was sent, by `performance.now()` */
  note(redisMs: number, askedAt: number, partition = 0): void {
    this.of(partition).note(redisMs, askedAt, performance.now())
  }

  private of(partition: number): ClockEstimate {
    while (partition >= this.estimates.length) this.estimates.push(new ClockEstimate())
    return this.estimates[partition] as ClockEstimate
  }

  private async ask(partition: number): Promise<void> {
    const askedAt = performance.now()
    const key = this.keys?.inCluster ? this.keys.sets('clock', partition).due : undefined
    const now = await this.connection.run(WAIT_MS, (client) => timeAt(client, key))
    this.of(partition).note(now, askedAt, performance.now())
  }
}

/**
 * The clock of a server in milliseconds, with fractions.
 * @param key in a cluster, a key on the node; undefined for one server
 */
export async function timeAt(client: Redis, key: string | undefined): Promise<number> {
  if (key !== undefined) return Number(await scripts(client).orderTimersTime(key))
  const [seconds, microseconds] = await client.time()
  return Number(seconds) * 1_000 + Number(microseconds) / 1_000
}
