// What rules have in Redis, by the names that are there: also rules that no process has any more, and partitions of a cluster that no process uses any more.

import type { Redis } from 'ioredis'
import type { Keys } from '../keys.js'
import { slotOf } from '../slots.js'
import type { RedisConnection } from './connection.js'
import { serversOf } from './primaries.js'
import { TimerKeys } from './timer-keys.js'

const WAIT_MS = 5_000

/** How many timers, or names, are removed at once. */
const PORTION = 500

/** The sweep reads more often than this, and workers note the epoch of an index every ten seconds. */
const SWEPT_WITHIN_MS = 3_600_000

/** The timers of a kind. */
export interface LeftTimers {
  /** In the index; those that wait for another attempt too. */
  armed: number
  /** Claimed by workers, and not settled. */
  claimed: number
  dead: number
  /** Whether sweeps read the rule's rows as long as it had a worker: the rows have the deadlines. */
  onRows: boolean
}

export class LeftSets {
  private readonly timerKeys: TimerKeys

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
  ) {
    this.timerKeys = new TimerKeys(keys)
  }

  /** The names of all sets, by kind. @returns undefined if that takes longer than `mostMs` */
  async byKind(mostMs: number): Promise<Map<string, string[]> | undefined> {
    const found = new Map<string, Set<string>>()
    const endsAt = performance.now() + mostMs
    for (const server of serversOf(this.connection.client)) {
      let cursor = '0'
      do {
        if (performance.now() > endsAt) return undefined
        const [next, names] = await this.run(() => server.scan(cursor, 'MATCH', this.keys.setsPattern, 'COUNT', 1_000))
        cursor = next
        for (const name of names) {
          const kind = this.keys.kindOfSet(name)
          if (kind !== undefined) found.set(kind, (found.get(kind) ?? new Set()).add(name))
        }
      } while (cursor !== '0')
    }
    return new Map([...found].map(([kind, names]) => [kind, [...names].sort()]))
  }

  async count(names: readonly string[]): Promise<LeftTimers> {
    const all = <T>(end: RegExp, ask: (client: Redis, name: string) => Promise<T>) =>
      this.run((client) => Promise.all(names.filter((name) => end.test(name)).map((name) => ask(client, name))))
    const armed = await all(/:due$/, (client, name) => client.zcard(name))
    const claimed = await all(/:lease:(?!.*:deadlines$)/, (client, name) => client.smembers(name))
    const dead = await all(/:failures:dead$/, (client, name) => client.zcard(name))
    const epochs = await all(/:due:state$/, (client, name) => client.hget(name, 'epoch'))
    const [read] = await all(/:read$/, (client, name) => client.get(name))
    const onRows = Number(read ?? Number.NaN) > Math.max(...epochs.map(Number)) - SWEPT_WITHIN_MS
    return { armed: sumOf(armed), claimed: sumOf(claimed.map(({ length }) => length)), dead: sumOf(dead), onRows }
  }

  /**
   * Removes all of a kind: first the timers' own keys, without an event, each portion before its entries, so that what is interrupted can be repeated.
   * @param beforeEach called before each portion; what it throws ends this
   */
  async remove(kind: string, names: readonly string[], beforeEach: () => Promise<void>): Promise<void> {
    for (const due of names.filter((name) => name.endsWith(':due')))
      for (;;) {
        const ids = await this.run((client) => client.zrange(due, '0', String(PORTION - 1)))
        if (ids.length === 0) break
        await beforeEach()
        await this.run((client) => this.timerKeys.removeSilently(client, kind, ids))
        await this.run((client) => client.zrem(due, ...ids))
      }
    for (const some of bySlot(names)) {
      await beforeEach()
      await this.run((client) => client.unlink(...some))
    }
  }

  private run<T>(command: (client: Redis) => Promise<T>): Promise<T> {
    return this.connection.run(WAIT_MS, command)
  }
}

/** One command names keys of one slot alone. */
function bySlot(names: readonly string[]): string[][] {
  const parts = new Map<number, string[]>()
  for (const name of names) parts.set(slotOf(name), [...(parts.get(slotOf(name)) ?? []), name])
  return [...parts.values()].flatMap((part) =>
    Array.from({ length: Math.ceil(part.length / PORTION) }, (_, i) => part.slice(i * PORTION, (i + 1) * PORTION)),
  )
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}
