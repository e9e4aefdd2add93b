// The open streams of this process. Once a second all of their orders are read together, and each stream gets what has changed. Between
// changes a browser counts by itself. Each minute a stream checks again which orders it may show.

import type { Request, Response } from 'express'
import { errorText } from '../error-text.js'
import type { Log } from '../logger.js'
import { EventStream } from '../web/event-stream.js'
import { Refusal } from '../web/refusal.js'
import { EVERY_MS, type Look, type Looks, nameOf, type Watched } from './looks.js'
import type { Permissions } from './permissions.js'
import { ABSENT, type Countdown } from './state.js'
import type { Wish } from './wishes.js'

const LIMITS = {
  mostStreams: 2_000,
  /** For all streams: half of what one reading takes, so that streams leave room for requests. */
  mostWatched: 10_000,
  askAgainMs: 60_000,
  beatMs: 15_000,
}
/** So that not all browsers reconnect at once when a process has ended. */
const RETRY_FROM_MS = 1_000
const RETRY_SPREAD_MS = 4_000
/** For a page that has nothing to show: it must not keep a stream, and may ask again. */
const NOTHING_RETRY_FROM_MS = 15_000
const NOTHING_RETRY_SPREAD_MS = 15_000
/** The variation of Postgres's response time; a moved deadline differs by more. */
const SAME_DEADLINE_MS = 250
/** Between two lines of the log about orders that could not be read. */
const TELL_AGAIN_MS = 60_000

interface Viewer {
  stream: EventStream
  wishes: readonly Wish[]
  granted: ReadonlySet<Wish>
  told: Map<Wish, Told>
  timers: NodeJS.Timeout[]
  /** Whether it is being checked again which orders it may show. */
  isAsking: boolean
  /** Whether it had unsent data at the last beat. */
  wasFull: boolean
}

interface Told {
  state: Countdown['state']
  /** By `performance.now()` while the timer runs; else the remaining milliseconds. */
  mark: number | null
}

export class Streams {
  private readonly viewers = new Set<Viewer>()
  private watched = 0
  private looking = false
  private closed = false
  private toldAt = Number.NEGATIVE_INFINITY
  private readonly limits: typeof LIMITS

  constructor(
    private readonly looks: Looks,
    private readonly permissions: Permissions,
    private readonly log: Log,
    limits: Partial<typeof LIMITS> = {},
  ) {
    this.limits = { ...LIMITS, ...limits }
  }

  /** @throws Refusal 503 */
  refuseMore(orders: number): void {
    if (this.closed) throw new Refusal(503, 'CLOSED', 'the timers are closed')
    if (this.viewers.size >= this.limits.mostStreams || this.watched + orders > this.limits.mostWatched)
      throw new Refusal(503, 'TOO_MANY_STREAMS', 'too many pages are open at present')
  }

  /** @throws Refusal 503 */
  add(req: Request, res: Response, wishes: readonly Wish[], granted: ReadonlySet<Wish>): void {
    if (res.destroyed) return // the viewer left during `authorize`; no further `close` is emitted
    this.refuseMore(wishes.length)
    const stream = new EventStream(res, () => this.remove(viewer))
    const viewer: Viewer = { stream, wishes, granted, told: new Map(), timers: [], isAsking: false, wasFull: false }
    this.viewers.add(viewer)
    this.watched += wishes.length
    viewer.timers.push(
      setInterval(() => beat(viewer), this.limits.beatMs).unref(),
      // Earlier by a random part of up to a fifth, so that pages that were opened together are not all checked together each time.
      setInterval(() => void this.askAgain(viewer, req), this.limits.askAgainMs * (1 - Math.random() / 5)).unref(),
    )
    retryAfter(stream, RETRY_FROM_MS, RETRY_SPREAD_MS)
    void this.lookAtOnce(viewer)
    if (!this.looking) void this.lookOn()
  }

  close(): void {
    this.closed = true
    for (const { stream } of this.viewers) stream.end()
  }

  /** Logged at most once a minute, whoever asked. Customers are not told about server problems. */
  tellUnread(error: unknown): undefined {
    if (this.closed || performance.now() - this.toldAt < TELL_AGAIN_MS) return
    this.toldAt = performance.now()
    const what = `countdown: the orders that are watched could not be read (${errorText(error)}); their countdowns go on by themselves`
    this.log('warn', what, { code: 'COUNTDOWN_UNREAD' })
  }

  /** In the next reading, which all viewers of this second share. */
  private async lookAtOnce(viewer: Viewer): Promise<void> {
    const look = await this.looks.at(watchedOf([viewer])).catch(() => undefined)
    if (look && this.viewers.has(viewer)) tell(viewer, look)
  }

  /** Until nobody watches. What cannot be read is read again later; meanwhile the pages continue to count. */
  private async lookOn(): Promise<void> {
    this.looking = true
    while (this.viewers.size > 0) {
      const viewers = [...this.viewers]
      const look = await this.looks.at(watchedOf(viewers)).catch((error: unknown) => this.tellUnread(error))
      if (!look) {
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS).unref())
        continue
      }
      for (const error of look.unread.values()) this.tellUnread(error)
      for (const viewer of viewers) if (this.viewers.has(viewer)) tell(viewer, look)
    }
    this.looking = false
  }

  private async askAgain(viewer: Viewer, req: Request): Promise<void> {
    if (viewer.isAsking) return
    viewer.isAsking = true
    viewer.granted = await this.permissions.of(req, viewer.wishes, () => !this.viewers.has(viewer))
    viewer.isAsking = false
  }

  private remove(viewer: Viewer): void {
    for (const timer of viewer.timers) clearInterval(timer)
    if (this.viewers.delete(viewer)) this.watched -= viewer.wishes.length
  }
}

/** What a customer sees of an order: its state, if the order is theirs. */
export function countdownOf(wish: Wish, granted: ReadonlySet<Wish>, { seen }: Look): Countdown {
  const found = (granted.has(wish) && wish.watched && seen.get(nameOf(wish.watched))) || { ...ABSENT, at: 0 }
  const { kind, id } = wish
  const runs = found.state !== 'paused'
  const remaining = found.remaining !== null && runs ? Math.round(found.remaining - (performance.now() - found.at)) : found.remaining
  return { kind, id, state: found.state, remaining }
}

/** Why an order that the customer may see could not be read; undefined if it was read, or is not theirs. */
export function unreadOf(wish: Wish, granted: ReadonlySet<Wish>, { unread }: Look): unknown {
  return granted.has(wish) && wish.watched ? unread.get(wish.watched.kind) : undefined
}

/** Sends what has changed. A viewer that reads too slowly gets the state at a later time: nothing is buffered for it. */
function tell(viewer: Viewer, look: Look): void {
  const { stream, wishes, granted, told } = viewer
  if (stream.isFull) return
  const isFirst = told.size === 0
  const known = wishes.filter((wish) => unreadOf(wish, granted, look) === undefined)
  const news = known.map((wish) => ({ wish, countdown: countdownOf(wish, granted, look) })).filter((one) => isNews(told, one))
  if (news.length > 0) stream.send('countdowns', JSON.stringify(news.map(({ countdown }) => countdown)))
  if (isFirst && known.length === wishes.length && news.every(({ countdown }) => countdown.state === 'absent')) endForNow(stream)
}

/** Otherwise guessing ids could occupy all streams. Orders that do not exist and orders of others end it in the same way. */
function endForNow(stream: EventStream): void {
  retryAfter(stream, NOTHING_RETRY_FROM_MS, NOTHING_RETRY_SPREAD_MS)
  stream.end()
}

function retryAfter(stream: EventStream, fromMs: number, spreadMs: number): void {
  stream.write(`retry: ${Math.round(fromMs + Math.random() * spreadMs)}\n\n`)
}

function beat(viewer: Viewer): void {
  const { stream, wasFull } = viewer
  viewer.wasFull = stream.isFull
  if (!stream.isFull) stream.send('beat', '{}')
  else if (wasFull) stream.drop()
}

function isNews(told: Viewer['told'], { wish, countdown: { state, remaining } }: { wish: Wish; countdown: Countdown }): boolean {
  const mark = state === 'running' && remaining !== null ? performance.now() + remaining : state === 'paused' ? remaining : null
  const before = told.get(wish)
  told.set(wish, { state, mark: before?.state === state && isSame(before.mark, mark) ? before.mark : mark })
  return before?.state !== state || !isSame(before.mark, mark)
}

function isSame(a: number | null, b: number | null): boolean {
  return a === b || (a !== null && b !== null && Math.abs(a - b) < SAME_DEADLINE_MS)
}

function* watchedOf(viewers: readonly Viewer[]): Generator<Watched> {
  for (const { wishes } of viewers) for (const { watched } of wishes) if (watched) yield watched
}
