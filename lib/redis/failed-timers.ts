// Timers whose rule failed, one hash for each kind: orders that wait for another attempt, and dead letters. Failures are written when a
// claim ends (leases.ts).

import type { Redis } from 'ioredis'
import type { Keys } from '../keys.js'
import type { RedisConnection } from './connection.js'
import { flatHash } from './hash.js'
import { everyPart } from './parts.js'
import { mayHaveWritten, operation, scripts } from './script-calls.js'

/** Failed attempts of one order. */
export interface Failure {
  attempts: number
  /** The last attempt's error, 500 characters at most. */
  error: string
  /** When the last attempt failed, ISO 8601. */
  at: string
  dead: boolean
  /** The first attempt's error, and when it failed; left out after only one attempt. */
  first?: { error: string; at: string }
}

/** The orders on which the rule failed: only ids, since most readers do not need their errors. */
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
  /** The total number. */
  total: number
  /** Where the next page begins; undefined if there is none. */
  next: string | undefined
}

export class FailedTimers {
  constructor(
    readonly connection: RedisConnection,
    readonly keys: Keys,
  ) {}

  /** The failures of these ids. Ids without one are left out. @param partition where they were claimed; not where they belong, if that has changed since */
  async of(kind: string, ids: readonly string[], partition = this.keys.partitions === 1 ? 0 : undefined): Promise<Map<string, Failure>> {
    const parts = partition === undefined ? [...this.keys.split(ids)] : [[partition, ids] as const]
    const found = await this.connection.ask((client) =>
      Promise.all(parts.map(([partition, part]) => client.hmget(this.keys.sets(kind, partition).failures, ...part))),
    )
    const values = found.flatMap((values, i) => values.map((value, k) => [parts[i]?.[1][k] as string, value] as const))
    return new Map(values.flatMap(([id, value]) => (value ? [[id, parseFailure(value)] as const] : [])))
  }

  /** Ids of dead letters come from the sorted set. The ids of all failures are read only if some are not dead letters. */
  async ids(kind: string, waitMs: number): Promise<FailedIds> {
    const isParted = this.keys.partitions > 1
    const counts = await this.ofEvery(kind, waitMs, (client, failures) =>
      Promise.all([
        isParted ? client.zrange(`${failures}:dead`, '0', '-1', 'WITHSCORES') : client.zrange(`${failures}:dead`, '0', '-1'),
        client.hlen(failures),
      ]),
    )
    const dead = isParted ? byScore(counts.flatMap(([scored]) => scored)) : (counts[0]?.[0] ?? [])
    if (counts.reduce((sum, [, all]) => sum + all, 0) <= dead.length) return { dead, retrying: [] }
    const isDead = new Set(dead)
    const ids = (await this.ofEvery(kind, waitMs, (client, failures) => client.hkeys(failures))).flat()
    return { dead, retrying: ids.filter((id) => !isDead.has(id)) }
  }

  /** Changes whenever a dead letter is added or removed, or the number of waiting orders changes. Cheap, however many there are. */
  async mark(kind: string, waitMs: number): Promise<string> {
    const marks = await this.ofEvery(kind, waitMs, (client, failures) =>
      Promise.all([client.zcard(`${failures}:dead`), client.hlen(failures), client.zrange(`${failures}:dead`, '-1', '-1', 'WITHSCORES')]),
    )
    return marks.flat(2).join(' ')
  }

  /** All failures of a kind: of orders that wait for another attempt, and of dead letters. */
  async all(kind: string, waitMs: number): Promise<Map<string, Failure>> {
    const lists = await this.ofEvery(kind, waitMs, flatHash)
    const all = new Map<string, Failure>()
    for (const values of lists)
      for (let i = 0; i < values.length; i += 2) all.set(values[i] as string, parseFailure(values[i + 1] as string))
    return all
  }

  /** The dead letters of a kind. */
  async dead(kind: string, waitMs: number): Promise<Map<string, Failure>> {
    return new Map([...(await this.all(kind, waitMs))].filter(([, { dead }]) => dead))
  }

  /** The newest dead letters of a kind, or those that died before the `next` of another page. */
  async deadPage(kind: string, before: string | undefined, limit: number, waitMs: number): Promise<DeadPage> {
    const pages = (await this.ofEvery(kind, waitMs, (client, failures) =>
      scripts(client).orderTimersDeadPage(failures, before ?? '', limit),
    )) as [total: number, values: string[]][]
    const found = pages.flatMap(([, values]) => quadruples(values))
    if (pages.length > 1) found.sort(([, one], [, other]) => Number(other) - Number(one))
    // Partitions may have the same score, and a page ends between two scores.
    const end = found[limit - 1]?.[1]
    const page = end === undefined ? found : found.filter(([, score]) => Number(score) >= Number(end))
    const letters = page.flatMap(([id, , json, stack]) =>
      json === '' ? [] : [{ ...parseFailure(json), id, stack: stack === '' ? undefined : stack }],
    )
    return { letters, total: pages.reduce((sum, [total]) => sum + total, 0), next: end }
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
    const parts = this.keys.partitions === 1 ? [[0, ids] as const] : [...this.keys.split(ids)]
    const ended = await Promise.all(
      parts.map(([partition, part]) => {
        const { due, failures } = this.keys.sets(kind, partition)
        return this.connection.run(
          waitMs,
          (client) => scripts(client).orderTimersRevive(due, failures, this.keys.wakeChannel, how, JSON.stringify(part)),
          operation('revive', kind, mayHaveWritten, partition),
        )
      }),
    )
    return new Set(ended.flatMap((json) => JSON.parse(json as string) as string[]))
  }

  private ofEvery<T>(kind: string, waitMs: number, ask: (client: Redis, failures: string) => Promise<T>): Promise<T[]> {
    return everyPart(this, waitMs, (client, partition) => ask(client, this.keys.sets(kind, partition).failures))
  }
}

/** @param scored id, score, id, score, … @returns the ids alone */
function byScore(scored: readonly string[]): string[] {
  const pairs = scored.flatMap((id, i) => (i % 2 === 0 ? [[id, Number(scored[i + 1])] as const] : []))
  return pairs.sort(([, one], [, other]) => one - other).map(([id]) => id)
}

/** The scripts also treat unreadable text as a failure, so it is shown and can be put back or dropped. */
function parseFailure(json: string): Failure {
  try {
    const failure = JSON.parse(json) as Failure
    const { attempts, dead, first } = failure
    if (
      Number.isSafeInteger(attempts) &&
      attempts >= 0 &&
      typeof dead === 'boolean' &&
      isNoted(failure) &&
      (first === undefined || isNoted(first))
    )
      return failure
  } catch {
    // not even JSON
  }
  return { attempts: 0, error: 'what Redis has of it cannot be read', at: new Date(0).toISOString(), dead: json.includes('"dead":true') }
}

function isNoted({ error, at }: Pick<Failure, 'error' | 'at'>): boolean {
  return typeof error === 'string' && typeof at === 'string' && !Number.isNaN(Date.parse(at))
}

type Quadruple = [id: string, score: string, json: string, stack: string]

function quadruples(values: readonly string[]): Quadruple[] {
  const found: Quadruple[] = []
  for (let i = 0; i < values.length; i += 4) found.push(values.slice(i, i + 4) as Quadruple)
  return found
}
