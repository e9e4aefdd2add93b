// Timers whose rule failed, one hash for each kind: orders that wait for another attempt, and dead letters. Failures are written when a
// claim ends (leases.ts).

import type { Keys } from '../keys.js'
import type { RedisConnection } from './connection.js'
import { mayHaveWritten, operation, scripts } from './script-calls.js'

/** Failed attempts of one order. */
export interface Failure {
  attempts: number
  /** The last attempt's error, 500 characters at most. */
  error: string
  /** When the last attempt failed, ISO 8601. */
  at: string
  dead: boolean
  /** The first attempt's error, and when it failed; left out while there was only one. */
  first?: { error: string; at: string }
}

/** Which orders the rule failed on: ids alone, since a look need not read their errors. */
export interface FailedIds {
  /** Oldest first. */
  dead: string[]
  /** They wait for another attempt. */
  retrying: string[]
}

/** A dead letter, with the stack of its last error while it is among the newest 10,000 of its kind. */
export interface StoredDeadLetter extends Failure {
  id: string
  stack: string | undefined
}

export interface DeadPage {
  /** Newest first. */
  letters: StoredDeadLetter[]
  /** How many there are in all. */
  total: number
  /** Where the next page begins; undefined where there is none. */
  next: string | undefined
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

  /** Reads the failures themselves only where some are no dead letters, and then their ids alone. */
  async ids(kind: string, waitMs: number): Promise<FailedIds> {
    const { failures } = this.keys.sets(kind)
    const [dead, all] = await this.connection.run(waitMs, (client) =>
      Promise.all([client.zrange(`${failures}:dead`, '0', '-1'), client.hlen(failures)]),
    )
    if (all <= dead.length) return { dead, retrying: [] }
    const isDead = new Set(dead)
    const ids = await this.connection.run(waitMs, (client) => client.hkeys(failures))
    return { dead, retrying: ids.filter((id) => !isDead.has(id)) }
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

  /** The newest dead letters of a kind, or those that died before the `next` of another page. */
  async deadPage(kind: string, before: string | undefined, limit: number, waitMs: number): Promise<DeadPage> {
    const { failures } = this.keys.sets(kind)
    const answer = await this.connection.run(waitMs, (client) => scripts(client).orderTimersDeadPage(failures, before ?? '', limit))
    const [total, values] = answer as [number, string[]]
    const letters: StoredDeadLetter[] = []
    for (let i = 0; i < values.length; i += 4) {
      const [id, , json, stack] = values.slice(i, i + 4) as [string, string, string, string]
      if (json !== '') letters.push({ ...(JSON.parse(json) as Failure), id, stack: stack === '' ? undefined : stack })
    }
    return { letters, total, next: values.length === 4 * limit ? values.at(-3) : undefined }
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
