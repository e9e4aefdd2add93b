// A TCP proxy on loopback that stands between the code under test and a server, and fails as networks fail: it delays, falls silent
// (connections stay open, nothing goes through, in one direction or both), resets, or drops the reply to a request that it has forwarded.
// It can also hold a request or its reply back: so a test stops the code between two steps, and kills it there or lets it go on, without a
// hook in the code. It counts what went through it and what it did to it.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { enter } from './opened.js'

type Mode = 'pass' | 'silence' | 'refuse'
type Match = (chunk: Buffer) => boolean
/** What clients send, and what the server answers. */
export type Direction = 'requests' | 'replies'

interface Pair {
  client: Socket
  upstream: Socket
}

interface Hold {
  isMeant: Match
  /** Which of the two waits: the request, or its reply. */
  direction: Direction
  stop(forward: () => void): void
}

/** What was held back in silence comes through so soon after its end, in milliseconds. */
const HELD_BACK_MS = 250

/** What went through and what was done to it, since the start. Requests and replies are counted by pieces of data. */
export interface Traffic {
  requests: number
  replies: number
  /** Pieces that waited because of a silence, seen when it ended. */
  heldBack: number
  delayed: number
  repliesDropped: number
  connectionsCut: number
}

/** A request, or the reply to one, that was stopped on its way. */
export interface Held {
  /** Fulfilled when it has come and waits. */
  readonly seen: Promise<void>
  /** Lets it go on, if it still can, and holds no further one. */
  release(): void
}

export class TcpProxy {
  private readonly pairs = new Set<Pair>()
  private readonly abandoned = new Set<Pair>()
  private readonly close: () => void
  private mode: Mode = 'pass'
  /** In silence: the direction in which nothing goes through, where the other one is open. */
  private silent: Direction | undefined
  private delayMs = 0
  private drop: { isMeant: Match; times: number } | undefined
  private readonly holds = new Set<Hold>()
  private readonly counts = new Set<{ isMeant: Match; direction: Direction; seen: number }>()
  private readonly done: Traffic = { requests: 0, replies: 0, heldBack: 0, delayed: 0, repliesDropped: 0, connectionsCut: 0 }
  private resumedAt = Number.NEGATIVE_INFINITY

  private constructor(
    private readonly server: Server,
    readonly port: number,
    private targetPort: number,
  ) {
    this.close = enter(`proxy on port ${port}`, () => this.stop())
    server.on('connection', (client) => this.onConnection(client))
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer({ pauseOnConnect: true, noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TcpProxy(server, (server.address() as AddressInfo).port, targetPort)
  }

  get connections(): number {
    return this.pairs.size
  }

  /** How many replies were dropped by `dropReply`. */
  get repliesDropped(): number {
    return this.done.repliesDropped
  }

  get traffic(): Traffic {
    return { ...this.done }
  }

  /** Everything goes through again; what was held back in silence goes first, as TCP would send it again. */
  pass(): void {
    if (this.mode === 'silence') this.resumedAt = performance.now()
    this.mode = 'pass'
    this.delayMs = 0
    this.drop = undefined
    for (const pair of this.pairs) {
      pair.client.resume()
      pair.upstream.resume()
    }
  }

  /** New connections lead to another server; those that are open stay where they are. */
  lead(targetPort: number): void {
    this.targetPort = targetPort
  }

  /** Each piece of data takes so much longer, in each direction. */
  delay(ms: number): void {
    this.delayMs = ms
  }

  /** A black hole: connections stay open and new ones are accepted, and nothing goes through, or nothing in one direction. */
  silence(direction?: Direction): void {
    this.mode = 'silence'
    this.silent = direction
    for (const pair of this.pairs) this.quieten(pair)
  }

  /** What is connected stays silent for ever, as after a cable was pulled; new connections pass. */
  abandon(): void {
    this.silence()
    for (const pair of this.pairs) this.abandoned.add(pair)
    this.pairs.clear()
    this.mode = 'pass'
  }

  /** Resets every connection. New ones are accepted. */
  reset(): void {
    this.done.connectionsCut += this.pairs.size
    for (const pair of this.pairs) end(pair)
  }

  /** Resets every connection, and each new one at once. */
  refuse(): void {
    this.mode = 'refuse'
    this.reset()
  }

  /** Forwards the next requests that contain this text (or one of these), and in place of the reply's first byte resets the connection. */
  dropReply(request: string | string[], times = 1): void {
    this.drop = { isMeant: containing(request), times }
  }

  /**
   * Stops the next request that contains this text (or one of these), and what follows on its connection. With 'replies' the request goes
   * on, and its reply is stopped.
   */
  hold(request: string | string[], direction: Direction = 'requests'): Held {
    let goOn = (): void => {}
    let stopped = (): void => {}
    const seen = new Promise<void>((resolve) => {
      stopped = resolve
    })
    const hold: Hold = {
      isMeant: containing(request),
      direction,
      stop: (forward: () => void) => {
        this.holds.delete(hold)
        goOn = forward
        stopped()
      },
    }
    this.holds.add(hold)
    const release = (): void => {
      this.holds.delete(hold)
      goOn()
    }
    return { seen, release }
  }

  /** Counts the pieces of data that contain this text (or one of these), from now on until `end`. */
  count(direction: Direction, text: string | string[]): { readonly seen: number; end(): void } {
    const count = { isMeant: containing(text), direction, seen: 0 }
    this.counts.add(count)
    return {
      get seen() {
        return count.seen
      },
      end: () => void this.counts.delete(count),
    }
  }

  async stop(): Promise<void> {
    this.reset()
    for (const pair of this.abandoned) end(pair)
    if (this.server.listening) {
      this.server.close()
      await once(this.server, 'close')
    }
    this.close()
  }

  private onConnection(client: Socket): void {
    if (this.mode === 'refuse') {
      this.done.connectionsCut += 1
      return void client.resetAndDestroy()
    }
    const upstream = connect({ port: this.targetPort, host: '127.0.0.1', noDelay: true })
    const pair = { client, upstream }
    this.pairs.add(pair)
    let replyIsDropped = false
    let replyIsHeld: Hold | undefined
    const waiting = { requests: undefined as Buffer[] | undefined, replies: undefined as Buffer[] | undefined }
    const stop = (hold: Hold, chunk: Buffer, to: Socket): void => {
      waiting[hold.direction] = [chunk]
      hold.stop(() => {
        for (const piece of waiting[hold.direction]?.splice(0) ?? []) to.write(piece)
        waiting[hold.direction] = undefined
      })
    }

    this.carry('requests', client, upstream, (chunk) => {
      if (waiting.requests !== undefined) {
        waiting.requests.push(chunk)
        return false
      }
      for (const hold of this.holds) {
        if (!hold.isMeant(chunk)) continue
        if (hold.direction === 'requests') {
          stop(hold, chunk, upstream)
          return false
        }
        replyIsHeld ??= hold
      }
      if (this.drop !== undefined && this.drop.times > 0 && this.drop.isMeant(chunk)) {
        this.drop.times -= 1
        replyIsDropped = true
      }
      return true
    })
    this.carry('replies', upstream, client, (chunk) => {
      if (waiting.replies !== undefined) {
        waiting.replies.push(chunk)
        return false
      }
      if (replyIsHeld !== undefined) {
        const hold = replyIsHeld
        replyIsHeld = undefined
        if (this.holds.has(hold)) {
          stop(hold, chunk, client)
          return false
        }
      }
      if (!replyIsDropped) return true
      this.done.repliesDropped += 1
      end(pair)
      return false
    })
    for (const socket of [client, upstream]) {
      socket.on('error', () => {})
      socket.on('close', () => {
        this.pairs.delete(pair)
        end(pair)
      })
    }
    if (this.mode !== 'silence') client.resume()
    else this.quieten(pair)
  }

  private quieten({ client, upstream }: Pair): void {
    if (this.silent === 'replies') client.resume()
    else client.pause()
    if (this.silent !== 'requests') upstream.pause()
  }

  /** Data in its order: a piece never overtakes an earlier one that was delayed more. */
  private carry(direction: Direction, from: Socket, to: Socket, goesOn: (chunk: Buffer) => boolean): void {
    const late: { chunk: Buffer; at: number }[] = []
    const flush = (): void => {
      while (late[0] !== undefined && late[0].at <= performance.now()) to.write(late.shift()!.chunk)
      if (late[0] !== undefined) setTimeout(flush, late[0].at - performance.now())
    }
    let silencesSeen = Number.NEGATIVE_INFINITY
    from.on('data', (chunk) => {
      const now = performance.now()
      this.done[direction] += 1
      for (const count of this.counts) if (count.direction === direction && count.isMeant(chunk)) count.seen += 1
      if (silencesSeen < this.resumedAt && now - this.resumedAt < HELD_BACK_MS) {
        silencesSeen = now
        this.done.heldBack += 1
      }
      if (!goesOn(chunk)) return
      if (this.delayMs > 0) this.done.delayed += 1
      const at = Math.max(late.at(-1)?.at ?? 0, now + this.delayMs)
      if (late.length === 0 && at <= now) to.write(chunk)
      else if (late.push({ chunk, at }) === 1) setTimeout(flush, at - now)
    })
    from.on('end', () => void to.end())
  }
}

function containing(request: string | string[]): Match {
  const texts = [request].flat().map((text) => Buffer.from(text))
  return (chunk) => texts.some((text) => chunk.includes(text))
}

function end(pair: Pair): void {
  cut(pair.client)
  cut(pair.upstream)
}

/** A reset where that can be: Node 20 loses the handle of a socket that is reset with something still to write or to shut down. */
function cut(socket: Socket): void {
  if (socket.destroyed) return
  if (socket.connecting || socket.writableEnded || socket.writableLength > 0) socket.destroy()
  else socket.resetAndDestroy()
}
