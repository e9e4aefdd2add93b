// What processes tell of timers while somebody watches, on a connection of its own. It shows that it is there every second, so that they go on, and
// must hear that itself: the node of a cluster that it listens to may hang while the others go on.

import { OrderTimersError } from '../errors.js'
import { RedisConnection } from '../redis/connection.js'
import { FEED_WORDS, type FeedMessage, type FeedNote, WATCH_EVERY_MS, WATCH_FIELD } from '../redis/live-feed.js'
import { redisError } from '../redis/trouble.js'
import type { Runtime } from '../timers/runtime.js'

const WAIT_MS = 5_000

/** After so many signs of its own that it did not hear, a second apart, it subscribes on another connection. */
const MOST_UNHEARD = 5

export interface Watched extends FeedNote {
  /** When it was published. */
  at: Date
  process: string
}

export interface WatchListeners {
  onNote(note: Watched): void
  /** Batches that a process left out because there were too many. */
  onLost(count: number, process: string): void
  /** Redis stopped answering, refuses the subscription, or does not take the sign that somebody watches; it is tried again. */
  onTrouble(message: string): void
}

/**
 * @returns once Redis has accepted the subscription: a function that ends it
 * @throws OrderTimersError REDIS_UNAVAILABLE, also if these timers have no Redis; what Redis answers if it refuses the subscription
 */
export async function watch(runtime: Runtime, { onNote, onLost, onTrouble }: WatchListeners): Promise<() => Promise<void>> {
  const [kind = ''] = runtime.kinds
  const { source, connection, clock } = runtime.requireRedis(kind, 'what happens is told through Redis; give "redis" to watch it')
  const { processes, watchChannel } = runtime.keys
  await connection.connected(WAIT_MS)
  const subscriber = new RedisConnection(source, 'express-order-timers:watch')
  const sign = JSON.stringify({ process: runtime.identity.id, lost: 0, notes: [] })
  let unheard = 0
  const subscribe = () => subscriber.ask((client) => client.subscribe(watchChannel))
  const show = async () => {
    const now = await clock.now()
    await connection.run(WAIT_MS, (client) => client.hset(processes, WATCH_FIELD, `${Math.floor(now)} watch`))
    await connection.run(WAIT_MS, (client) => client.publish(watchChannel, sign))
    unheard += 1
  }
  subscriber.client.on('message', (_channel: string, text: string) => {
    unheard = 0
    const message = parseMessage(text)
    if (!message) return
    for (const note of message.notes) onNote({ at: new Date(), process: message.process, ...note })
    if (message.lost > 0) onLost(message.lost, message.process)
  })
  let signs: NodeJS.Timeout | undefined
  const end = async () => {
    clearInterval(signs)
    subscriber.close()
    await connection.run(WAIT_MS, (client) => client.hdel(processes, WATCH_FIELD)).catch(() => {}) // other watchers renew it within a second
  }
  try {
    await subscriber.connected(WAIT_MS)
    await subscribe()
    await show()
  } catch (error) {
    await end()
    throw error
  }
  const told = (error: unknown) => onTrouble((error instanceof OrderTimersError ? error : redisError(error, subscriber.where)).message)
  subscriber.onUp(() => void subscribe().catch(told))
  subscriber.onDown(told)
  let isShown = true
  const showAgain = async () => {
    try {
      await show()
      isShown = true
      if (unheard <= MOST_UNHEARD) return
      unheard = 0
      subscriber.reconnect(new Error('it takes messages and delivers none'))
    } catch (error) {
      if (isShown && subscriber.answering) told(error) // of a cluster's nodes only that with the record of processes may be away
      isShown = false
    }
  }
  signs = setInterval(() => void showAgain(), WATCH_EVERY_MS)
  return end
}

/** Anybody may publish on the channel, so every message is checked. */
function parseMessage(text: string): FeedMessage | undefined {
  try {
    const { process, lost, notes } = JSON.parse(text) as FeedMessage
    if (typeof process !== 'string' || !Array.isArray(notes)) return undefined
    return { process, lost: Number(lost) || 0, notes: notes.filter(isNote) }
  } catch {
    return undefined
  }
}

function isNote(note: unknown): note is FeedNote {
  const { what, kind, via, count, orders } = (note ?? {}) as FeedNote
  const isOrder = (order: unknown) => {
    const { id, ms } = (order ?? {}) as FeedNote['orders'][number]
    return typeof id === 'string' && (ms == null || typeof ms === 'number')
  }
  return (
    FEED_WORDS.includes(what) &&
    typeof kind === 'string' &&
    (via === undefined || typeof via === 'string') &&
    Number.isSafeInteger(count) &&
    Array.isArray(orders) &&
    orders.every(isOrder)
  )
}
