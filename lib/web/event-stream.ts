// One stream of server-sent events to one viewer. It asks proxies and compression not to hold events back, drops a viewer who takes nothing of
// what is sent, and tells once that it has ended, whoever ended it.

import type { Response } from 'express'

/** A viewer that takes nothing of what is sent is gone. */
const MOST_UNSENT = 1_000_000
/** How long a viewer has to take the rest once a stream has ended: a server that closes waits for that. */
const REST_MS = 2_000

export class EventStream {
  private readonly res: Response & { flush?: () => void }
  private ended = false

  /** @param onEnd called once, also where the viewer goes */
  constructor(
    res: Response,
    private readonly onEnd: () => void,
  ) {
    this.res = res
    res.setHeader('Content-Type', 'text/event-stream; charset=utf-8')
    res.setHeader('Cache-Control', 'no-store, no-transform') // compression would hold events back
    res.setHeader('X-Accel-Buffering', 'no')
    // A server that closes would wait until the browser lets go of a connection that it could use again.
    if (res.req.httpVersionMajor === 1) res.setHeader('Connection', 'close')
    res.writeHead(200)
    res.on('close', () => this.tellEnd())
    res.on('error', () => this.tellEnd())
  }

  /** Whether the viewer takes less than what is sent. What can wait is better sent later. */
  get isFull(): boolean {
    return this.res.writableNeedDrain
  }

  /** @param json has no line break, whatever texts are in it: JSON escapes them */
  send(event: string, json: string): void {
    this.write(`event: ${event}\ndata: ${json}\n\n`)
  }

  /** Lines of the stream's own, such as a `retry` or a comment. */
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

  /** Without waiting for what the viewer has not taken. */
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
