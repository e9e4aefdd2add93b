// Stores which span scheduled an order, for the span that settles it, perhaps a day later and in another process. Kept in Redis, only for sampled spans: a hash
// for each rule and day of deadlines, which expires two days after that day, so that entries of unsettled orders expire too.

import type { Redis } from 'ioredis'
import type { Keys } from '../keys.js'
import type { RedisConnection } from '../redis/connection.js'

const DAY_MS = 86_400_000
const KEPT_DAYS = 3

/** The default maximum of links in a span. */
const MOST_LINKS = 128

export interface SpanName {
  traceId: string
  spanId: string
}

export class SpanLinks {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
  ) {}

  /** Never rejects, and callers do not wait for it. */
  async note(kind: string, id: string, deadlineMs: number, { traceId, spanId }: SpanName): Promise<void> {
    const day = dayOf(deadlineMs)
    const key = this.keys.spans(kind, day)
    const keptMs = Math.max(DAY_MS, (day + KEPT_DAYS) * DAY_MS - Date.now())
    await this.ask((client) => Promise.all([client.hset(key, id, `${traceId} ${spanId}`), client.pexpire(key, keptMs)]))
  }

  /** The sampled spans that scheduled these orders; each once. Never rejects. */
  async take(kind: string, orders: readonly { id: string; deadline: number | null }[]): Promise<SpanName[]> {
    const days = new Map<number, string[]>()
    for (const { id, deadline } of orders.slice(0, MOST_LINKS)) {
      if (deadline === null) continue
      const ids = days.get(dayOf(deadline)) ?? []
      days.set(dayOf(deadline), ids)
      ids.push(id)
    }
    const found = await Promise.all([...days].map(([day, ids]) => this.takeOf(this.keys.spans(kind, day), ids)))
    return found.flat()
  }

  private async takeOf(key: string, ids: string[]): Promise<SpanName[]> {
    const values = (await this.ask((client) => client.hmget(key, ...ids))) ?? []
    const known = ids.filter((_, i) => values[i])
    if (known.length > 0) await this.ask((client) => client.hdel(key, ...known))
    return values.flatMap((value) => {
      const [, traceId, spanId] = /^([0-9a-f]{32}) ([0-9a-f]{16})$/.exec(value ?? '') ?? []
      return traceId && spanId ? [{ traceId, spanId }] : []
    })
  }

  /** Tracing raises no faults: if Redis does not answer, or refuses, there is no link. */
  private async ask<T>(command: (client: Redis) => Promise<T>): Promise<T | undefined> {
    if (!this.connection.serving) return undefined
    return this.connection.ask<T>(command).catch(() => undefined)
  }
}

function dayOf(deadlineMs: number): number {
  return Math.floor(deadlineMs / DAY_MS)
}
