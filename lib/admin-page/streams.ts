// Live pages, by server-sent events. Each stream gets the same news every few seconds, and ends when its viewer goes, when `authorize` no longer
// lets him look, and when the timers or the router are closed.

import type { Request, Response } from 'express'
import { Refusal } from './refusal.js'

const MOST = 20
const EVERY_MS = 4_000
const ASK_AGAIN_MS = 30_000
/** A viewer that takes nothing of what is sent is gone. */
const MOST_UNSENT = 1_000_000

export interface StreamsDependencies {
  /** What every viewer is told, as JSON. Never rejects. */
  news: () => Promise<string>
  /** @throws where the viewer may no longer look */
  mayLook: (req: Request) => Promise<unknown>
}

interface Viewer {
  res: Response & { flush?: () => void }
  asking: NodeJS.Timeout
}

export class Streams {
  private readonly viewers = new Set<Viewer>()
  private timer: NodeJS.Timeout | undefined
  private closed = false

  constructor(private readonly dependencies: StreamsDependencies) {}

  /** @throws Refusal 503 */
  add(req: Request, res: Response): void {
    if (res.destroyed) return // the viewer went while `authorize` was asked; no further `close` is emitted
    if (this.closed) throw new Refusal(503, 'CLOSED', 'the timers are closed')
    if (this.viewers.size >= MOST) throw new Refusal(503, 'TOO_MANY_STREAMS', `${MOST} pages are live already; this one looks every 15 s`)
    res.setHeader('Content-Type', 'text/event-stream; charset=utf-8')
    res.setHeader('Cache-Control', 'no-store, no-transform') // compression would hold events back
    res.setHeader('X-Accel-Buffering', 'no')
    res.writeHead(200)
    const viewer: Viewer = { res, asking: setInterval(() => void this.askAgain(viewer, req), ASK_AGAIN_MS) }
    viewer.asking.unref()
    this.viewers.add(viewer)
    res.on('close', () => this.remove(viewer))
    res.on('error', () => this.remove(viewer))
    void this.tell([viewer])
    this.timer ??= setInterval(() => void this.tell([...this.viewers]), EVERY_MS).unref()
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
    for (const viewer of viewers) if (this.viewers.has(viewer)) this.send(viewer, 'news', news)
  }

  private async askAgain(viewer: Viewer, req: Request): Promise<void> {
    try {
      await this.dependencies.mayLook(req)
    } catch {
      this.end(viewer, 'refused')
    }
  }

  /** @param json has no line break, whatever texts are in it: JSON escapes them */
  private send(viewer: Viewer, event: string, json: string): void {
    const { res } = viewer
    if (res.destroyed) return void this.remove(viewer)
    if (res.writableLength > MOST_UNSENT) return void res.destroy()
    res.write(`event: ${event}\ndata: ${json}\n\n`)
    res.flush?.()
  }

  private end(viewer: Viewer, event: 'closed' | 'refused'): void {
    if (!this.viewers.has(viewer)) return
    this.send(viewer, event, '{}')
    viewer.res.end()
    this.remove(viewer)
  }

  private remove(viewer: Viewer): void {
    clearInterval(viewer.asking)
    this.viewers.delete(viewer)
    if (this.viewers.size > 0) return
    clearInterval(this.timer)
    this.timer = undefined
  }
}
