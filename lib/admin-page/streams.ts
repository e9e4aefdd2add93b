// Live pages, by server-sent events. Each stream gets the same update every few seconds. It ends when its viewer leaves, when `authorize` no longer
// allows reading, and when the timers or the router are closed.

import type { Request, Response } from 'express'
import { EventStream } from '../web/event-stream.js'
import { Refusal } from '../web/refusal.js'

const MOST = 20

/** The property with a router's streams, for tests. */
export const STREAMS = Symbol('streams')

export interface StreamsDependencies {
  /** The update for every viewer, as JSON. Never rejects. */
  news: () => Promise<string>
  /** @throws if the viewer may no longer look */
  mayLook: (req: Request) => Promise<unknown>
}

interface Viewer {
  stream: EventStream
  asking: NodeJS.Timeout
}

export class Streams {
  /** How often viewers get an update, and how often `authorize` is called again for each. */
  readonly times = { everyMs: 4_000, askAgainMs: 30_000 }
  private readonly viewers = new Set<Viewer>()
  private timer: NodeJS.Timeout | undefined
  private closed = false

  constructor(private readonly dependencies: StreamsDependencies) {}

  /** @throws Refusal 503 */
  add(req: Request, res: Response): void {
    if (res.destroyed) return // the viewer left during `authorize`; no further `close` is emitted
    if (this.closed) throw new Refusal(503, 'CLOSED', 'the timers are closed')
    if (this.viewers.size >= MOST) throw new Refusal(503, 'TOO_MANY_STREAMS', `${MOST} pages are live already; this one reads every 15 s`)
    const asking = setInterval(() => void this.askAgain(viewer, req), this.times.askAgainMs).unref()
    const viewer: Viewer = { stream: new EventStream(res, () => this.remove(viewer)), asking }
    this.viewers.add(viewer)
    void this.tell([viewer])
    this.timer ??= setInterval(() => void this.tell([...this.viewers]), this.times.everyMs).unref()
  }

  /** At once, such as after an act. */
  tellAll(): void {
    void this.tell([...this.viewers])
  }

  close(): void {
    this.closed = true
    for (const viewer of this.viewers) this.end(viewer, 'closed')
  }

  private async tell(viewers: readonly Viewer[]): Promise<void> {
    if (viewers.length === 0) return
    const news = await this.dependencies.news()
    for (const viewer of viewers) if (this.viewers.has(viewer)) viewer.stream.send('news', news)
  }

  private async askAgain(viewer: Viewer, req: Request): Promise<void> {
    try {
      await this.dependencies.mayLook(req)
    } catch {
      this.end(viewer, 'refused')
    }
  }

  private end(viewer: Viewer, event: 'closed' | 'refused'): void {
    if (!this.viewers.has(viewer)) return
    viewer.stream.send(event, '{}')
    viewer.stream.end()
  }

  private remove(viewer: Viewer): void {
    clearInterval(viewer.asking)
    this.viewers.delete(viewer)
    if (this.viewers.size > 0) return
    clearInterval(this.timer)
    this.timer = undefined
  }
}
