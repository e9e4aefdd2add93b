// Publishes what happens to timers for `order-timers watch`. A watcher writes a sign of life into the record of processes, which each
// process reads with its heartbeats anyway. While nobody watches, the only cost is one boolean check for each batch. While somebody does, there is one
// message for all batches of a tenth of a second. No order waits for it, and what cannot be published is lost.

import type { Keys } from '../keys.js'
import type { RedisConnection } from './connection.js'

/** The field in the hash of processes with the instant of a watcher's latest sign of life. No process has this name. */
export const WATCH_FIELD = 'watch'

/** How often a watcher renews its sign of life, and when it counts as gone. */
export const WATCH_EVERY_MS = 1_000
const WATCHED_MS = 5_000

const GATHER_MS = 100

/** How many orders of a batch are named, and how many batches a message may have. The count of each batch is exact. */
const MOST_NAMED = 50
const MOST_NOTES = 100

/** `armed`: a timer was put into Redis; `event`: its key expired, and the event came; `settled`; `failed`: one attempt; `dead`: the last one. */
export const FEED_WORDS = ['armed', 'event', 'settled', 'failed', 'dead'] as const

export interface FeedNote {
  what: (typeof FEED_WORDS)[number]
  kind: string
  /** For `settled`: the path that brought the orders. */
  via?: string
  count: number
  /** The first of them. `ms`: for `armed` the deadline, for `settled` how late it was, in milliseconds. */
  orders: { id: string; ms?: number | null | undefined }[]
}

export interface FeedMessage {
  /** The process that publishes it. */
  process: string
  /** How many batches were left out. */
  lost: number
  notes: FeedNote[]
}

export class LiveFeed {
  /** Whether somebody watched at the last check. */
  watched = false
  private notes: FeedNote[] = []
  private lost = 0
  private timer: NodeJS.Timeout | undefined

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
    private readonly process: string,
  ) {}

  /** @param orders called only while somebody watches */
  note(what: FeedNote['what'], kind: string, orders: readonly FeedNote['orders'][number][], via?: string): void {
    if (!this.watched || orders.length === 0) return
    this.timer ??= setTimeout(() => this.tell(), GATHER_MS).unref()
    if (this.notes.length >= MOST_NOTES) this.lost += 1
    else
      this.notes.push({
        ...{ what, kind, count: orders.length, ...(via !== undefined && { via }) },
        orders: orders.slice(0, MOST_NAMED).map(({ id, ms }) => ({ id, ...(ms !== undefined && { ms }) })),
      })
  }

  private tell(): void {
    const message: FeedMessage = { process: this.process, lost: this.lost, notes: this.notes }
    this.timer = undefined
    this.notes = []
    this.lost = 0
    if (!this.connection.serving) return
    this.connection.ask((client) => client.publish(this.keys.watchChannel, JSON.stringify(message))).catch(() => {}) // the right is missing, or Redis does not answer
  }
}

/** @param sign the value of WATCH_FIELD, if there is one */
export function isWatched(sign: string | null | undefined, now: number): boolean {
  const at = Number.parseInt(sign ?? '', 10)
  return Math.abs(now - at) < WATCHED_MS
}
