// A TCP proxy on loopback that stands between the code under test and a server, and fails as networks fail: it delays, falls silent
// (connections stay open, nothing goes through), resets, or drops the reply to a request that it has forwarded. It can also hold a
// request back: so a test stops the code between two steps, and kills it there or lets it go on, without a hook in the code.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { enter } from './opened.js'

type Mode = 'pass' | 'silence' | 'refuse'
type Match = (chunk: Buffer) => boolean

interface Pair {
  client: Socket
  upstream: Socket
}

/** A request that was stopped on its way. */
export interface Held {
  /** Fulfilled when the request has come and waits. */
  readonly seen: Promise<void>
  /** Lets it go on, if it still can, and holds no further one. */
  release(): void
}

export class TcpProxy {
  private readonly pairs = new Set<Pair>()
  private readonly abandoned = new Set<Pair>()
  private readonly close: () => void
  private mode: Mode = 'pass'
  private delayMs = 0
  private drop: { isMeant: Match; times: number } | undefined
  private dropped = 0
  private readonly holds = new Set<{ isMeant: Match; stop(forward: () => void): void }>()

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
    return this.dropped
  }

  /** Everything goes through again; what was held back in silence goes first, as TCP would send it again. */
  pass(): void {
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

  /** A black hole: connections stay open and new ones are accepted, and nothing goes through. */
  silence(): void {
    this.mode = 'silence'
    for (const pair of this.pairs) {
      pair.client.pause()
      pair.upstream.pause()
    }
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

  /** Stops the next request that contains this text (or one of these), and what follows on its connection. */
  hold(request: string | string[]): Held {
    let goOn = (): void => {}
    let stopped = (): void => {}
    const seen = new Promise<void>((resolve) => {
      stopped = resolve
    })
    const hold = {
      isMeant: containing(request),
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
    if (this.mode === 'refuse') return void client.resetAndDestroy()
    const upstream = connect({ port: this.targetPort, host: '127.0.0.1', noDelay: true })
    const pair = { client, upstream }
    this.pairs.add(pair)
    let replyIsDropped = false
    let held: Buffer[] | undefined

    this.carry(client, upstream, (chunk) => {
      if (held !== undefined) {
        held.push(chunk)
        return false
      }
      for (const hold of this.holds) {
        if (!hold.isMeant(chunk)) continue
        held = [chunk]
        hold.stop(() => {
          for (const waiting of held?.splice(0) ?? []) upstream.write(waiting)
          held = undefined
        })
        return false
      }
      if (this.drop !== undefined && this.drop.times > 0 && this.drop.isMeant(chunk)) {
        this.drop.times -= 1
        replyIsDropped = true
      }
      return true
    })
    this.carry(upstream, client, () => {
      if (!replyIsDropped) return true
      this.dropped += 1
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
    if (this.mode === 'pass') client.resume()
  }

  /** Data in its order: a piece never overtakes an earlier one that was delayed more. */
  private carry(from: Socket, to: Socket, goesOn: (chunk: Buffer) => boolean): void {
    let lastAt = 0
    from.on('data', (chunk) => {
      if (!goesOn(chunk)) return
      const now = performance.now()
      lastAt = Math.max(lastAt, now + this.delayMs)
      if (lastAt <= now) to.write(chunk)
      else setTimeout(() => void to.write(chunk), lastAt - now)
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
