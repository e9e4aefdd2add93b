// One stream of server-sent events to one viewer. It asks proxies and compression not to buffer, drops a viewer who reads nothing of
// what is sent, and reports its end once, whoever ended it.

import type { Response } from 'express'

/** After this time without reading, a viewer counts as gone. */
const MOST_UNSENT = 1_000_000
/** How long a viewer may read the rest after the end of a stream: a closing server waits for that. */
const REST_MS = 2_000

export class EventStream {
  private readonly res: Response & { flush?: () => void }
  private ended = false

  /** @param onEnd called once, also if the viewer leaves */
  constructor(
    res: Response,
    private readonly onEnd: () => void,
  ) {
    this.res = res
    res.setHeader('Content-Type', 'text/event-stream; charset=utf-8')
    res.setHeader('Cache-Control', 'no-store, no-transform') // compression would buffer events
    res.setHeader('X-Accel-Buffering', 'no')
    // A closing server would wait until the browser closes a connection that it keeps alive.
    if (res.req.httpVersionMajor === 1) res.setHeader('Connection', 'close')
    res.writeHead(200)
    res.on('close', () => this.tellEnd())
    res.on('error', () => this.tellEnd())
  }

  /** Whether the viewer reads more slowly than events are sent. Then it is better to send later. */
  get isFull(): boolean {
    return this.res.writableNeedDrain
  }

  /** @param json contains no line breaks: JSON escapes them */
  send(event: string, json: string): void {
    this.write(`event: ${event}\ndata: ${json}\n\n`)
  }

  /** Protocol lines, such as `retry` or a comment. */
  write(text: string): void {
    const { res } = this
    if (res.destroyed) return void this.tellEnd()
    if (res.writableLength > MOST_UNSENT) return void res.destroy()
    res.write(text)
    res.flush?.()
  }

  end(): void {
    const { res } = this
    res.end()
    if (!res.writableFinished) setTimeout(() => res.destroy(), REST_MS).unref()
    this.tellEnd()
  }

  /** Without waiting for unread data. */
  drop(): void {
    this.res.destroy()
    this.tellEnd()
  }

  private tellEnd(): void {
    if (this.ended) return
    this.ended = true
    this.onEnd()
  }
}
