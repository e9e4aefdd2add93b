// Timers whose rule failed, one hash for each kind: orders that wait for another attempt, and dead letters. Failures are written when a
// claim ends (leases.ts).

import type { Keys } from '../keys.js'
import type { RedisConnection } from './connection.js'
import { mayHaveWritten, operation, scripts } from './script-calls.js'

/** Failed attempts of one order. */
export interface Failure {
  attempts: number
  error: string
  /** When the last attempt failed, ISO 8601. */
  at: string
  dead: boolean
}

export class FailedTimers {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
  ) {}

  /** The failures of these ids. Ids without one are left out. */
  async of(kind: string, ids: readonly string[]): Promise<Map<string, Failure>> {
    const values = await this.connection.ask((client) => client.hmget(this.keys.sets(kind).failures, ...ids))
    return new Map(ids.flatMap((id, i) => (values[i] ? [[id, JSON.parse(values[i]) as Failure] as const] : [])))
  }

  /** All failures of a kind: of orders that wait for another attempt, and of dead letters. */
  async all(kind: string, waitMs: number): Promise<Map<string, Failure>> {
    // As HGETALL in capitals: a shop may have set a reply transformer for `hgetall`, which all clients of ioredis in a process share.
    const { failures } = this.keys.sets(kind)
    const values = (await this.connection.run(waitMs, (client) => client.call('HGETALL', failures))) as string[]
    const all = new Map<string, Failure>()
    for (let i = 0; i < values.length; i += 2) all.set(values[i] as string, JSON.parse(values[i + 1] as string))
    return all
  }

  /** The dead letters of a kind. */
  async dead(kind: string, waitMs: number): Promise<Map<string, Failure>> {
    return new Map([...(await this.all(kind, waitMs))].filter(([, { dead }]) => dead))
  }

  /** Puts dead letters back, due now, with their attempts forgotten. @returns those of the ids that were dead letters */
  revive(kind: string, ids: readonly string[], waitMs: number): Promise<Set<string>> {
    return this.end(kind, 'due', ids, waitMs)
  }

  /** Drops dead letters. @returns those of the ids that were dead letters */
  discard(kind: string, ids: readonly string[], waitMs: number): Promise<Set<string>> {
    return this.end(kind, 'dropped', ids, waitMs)
  }

  private async end(kind: string, how: 'due' | 'dropped', ids: readonly string[], waitMs: number): Promise<Set<string>> {
    const { due, failures } = this.keys.sets(kind)
    const ended = await this.connection.run(
      waitMs,
      (client) => scripts(client).orderTimersRevive(due, failures, this.keys.wakeChannel, how, JSON.stringify(ids)),
      operation('revive', kind, mayHaveWritten),
    )
    return new Set(JSON.parse(ended as string))
  }
}
