// The simulated network: connections from simulated processes to simulated servers, as streams that ioredis and pg take for sockets. What is
// sent arrives in order and later, by a random time. A way (of one process to one server) can be cut, hold everything, or lose one direction.

import { Duplex } from 'node:stream'
import type { VirtualTime } from './virtual-time.js'

/** The server's end of a connection. */
export interface Session {
  receive(data: Buffer): void
  /** The client has closed the connection, or it broke. */
  closed(): void
}

export interface Peer {
  /** The process that has connected. */
  readonly owner: string
  send(data: Buffer): void
  /** Closes the connection once everything that was sent has arrived. */
  end(): void
}

export interface Server {
  readonly name: string
  /** Undefined: it accepts no connection. */
  accept(peer: Peer): Session | undefined
}

/** How long a message is under way, milliseconds. */
const LATENCY = { usual: 0.4, longMs: 12, longChance: 0.02 }

/** How the way from one process to one server is. */
export interface Way {
  /** New connections are refused. */
  refuses: boolean
  /** Nothing arrives in this direction until the way is healed. */
  holdsRequests: boolean
  holdsReplies: boolean
  /** Added to each message, milliseconds. */
  slowMs: number
}

export class Network {
  private readonly ways = new Map<string, Way>()
  private readonly connections = new Set<Connection>()

  constructor(readonly time: VirtualTime) {}

  way(owner: string, server: string): Way {
    const name = `${owner} → ${server}`
    let way = this.ways.get(name)
    if (!way) {
      way = { refuses: false, holdsRequests: false, holdsReplies: false, slowMs: 0 }
      this.ways.set(name, way)
    }
    return way
  }

  /** Ends whatever is wrong with a way, or with all; what was held arrives. */
  heal(owner?: string, server?: string): void {
    for (const [name, way] of this.ways) {
      const [from, to] = name.split(' → ')
      if ((owner === undefined || from === owner) && (server === undefined || to === server))
        Object.assign(way, { refuses: false, holdsRequests: false, holdsReplies: false, slowMs: 0 })
    }
    for (const connection of this.connections) connection.flush()
  }

  /** Breaks all connections of a way, at both ends. */
  cut(which: { owner?: string; server?: string }): number {
    let cut = 0
    for (const connection of [...this.connections]) {
      if (which.owner !== undefined && connection.owner !== which.owner) continue
      if (which.server !== undefined && connection.server.name !== which.server) continue
      connection.break()
      cut += 1
    }
    return cut
  }

  /** A process's socket, which connects to the server by `connect()`. */
  socket(server: Server, owner = this.time.owner): SimulatedSocket {
    return new SimulatedSocket(this, server, owner)
  }

  opened(connection: Connection): void {
    this.connections.add(connection)
  }

  ended(connection: Connection): void {
    this.connections.delete(connection)
  }

  latency(way: Way): number {
    const { random } = this.time
    const long = random.chance(LATENCY.longChance) ? random.next() * LATENCY.longMs : 0
    return 0.05 + random.next() * LATENCY.usual + long + way.slowMs
  }
}

type Direction = 'requests' | 'replies'

export class Connection implements Peer {
  readonly owner: string
  private session: Session | undefined
  private readonly under: Record<Direction, { held: (() => void)[]; latest: number; chunks: Buffer[]; step: number }> = {
    requests: { held: [], latest: 0, chunks: [], step: -1 },
    replies: { held: [], latest: 0, chunks: [], step: -1 },
  }
  private over = false

  constructor(
    private readonly network: Network,
    readonly server: Server,
    private readonly socket: SimulatedSocket,
  ) {
    this.owner = socket.owner
    network.opened(this)
    this.deliver('requests', () => this.accept())
  }

  request(data: Buffer): void {
    this.together('requests', data, (all) => this.session?.receive(all))
  }

  send(data: Buffer): void {
    this.together('replies', data, (all) => this.socket.arrive(all))
  }

  /** The server ends it. */
  end(): void {
    this.deliver('replies', () => {
      this.close()
      this.socket.arrive(null)
    })
  }

  /** The client's end was closed. */
  clientClosed(): void {
    this.deliver('requests', () => {
      this.session?.closed()
      this.session = undefined
      this.close()
    })
  }

  break(): void {
    if (this.over) return
    this.close()
    const { session } = this
    this.session = undefined
    this.network.time.schedule(this.server.name, 0.1, () => session?.closed())
    this.network.time.schedule(this.owner, 0.1, () => this.socket.broken('ECONNRESET'))
  }

  flush(): void {
    for (const direction of ['requests', 'replies'] as const) {
      const { held } = this.under[direction]
      for (const act of held.splice(0)) this.deliver(direction, act)
    }
  }

  private accept(): void {
    const { time } = this.network
    const refuses = this.network.way(this.owner, this.server.name).refuses
    this.session = refuses ? undefined : this.server.accept(this)
    if (this.session) {
      this.deliver('replies', () => this.socket.connected())
      return
    }
    this.close()
    time.schedule(this.owner, 0.2, () => this.socket.broken('ECONNREFUSED'))
  }

  private close(): void {
    this.over = true
    this.network.ended(this)
  }

  /** What is sent within one step travels together. */
  private together(direction: Direction, data: Buffer, act: (all: Buffer) => void): void {
    const under = this.under[direction]
    const { steps } = this.network.time
    if (under.step === steps && under.chunks.length > 0) {
      under.chunks.push(data)
      return
    }
    const chunks = [data]
    Object.assign(under, { chunks, step: steps })
    this.deliver(direction, () => {
      act(chunks.length === 1 ? data : Buffer.concat(chunks))
      if (under.chunks === chunks) under.chunks = []
    })
  }

  private deliver(direction: Direction, act: () => void): void {
    const way = this.network.way(this.owner, this.server.name)
    const under = this.under[direction]
    if (this.over) return
    if (direction === 'requests' ? way.holdsRequests : way.holdsReplies) {
      under.held.push(act)
      return
    }
    const { time } = this.network
    under.latest = Math.max(under.latest, time.now + this.network.latency(way))
    time.schedule(direction === 'requests' ? this.server.name : this.owner, under.latest - time.now, () => {
      if (this.over && direction === 'requests') return
      act()
    })
  }
}

export class SimulatedSocket extends Duplex {
  connecting = false
  readonly remoteAddress = '127.0.0.1'
  readonly remotePort = 1
  private connection: Connection | undefined
  private idleMs = 0
  private stopIdle: () => void = () => {}

  constructor(
    private readonly network: Network,
    private readonly target: Server,
    readonly owner: string,
  ) {
    super({ allowHalfOpen: false })
  }

  /** As net.Socket: where to is known already. */
  connect(): this {
    this.connecting = true
    this.connection = new Connection(this.network, this.target, this)
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  setTimeout(milliseconds: number, listener?: () => void): this {
    this.idleMs = milliseconds
    if (listener && milliseconds > 0) this.once('timeout', listener)
    this.active()
    return this
  }

  connected(): void {
    if (this.destroyed) return
    this.connecting = false
    this.emit('connect')
    this.emit('ready')
  }

  arrive(data: Buffer | null): void {
    if (this.destroyed) return
    this.active()
    this.push(data)
  }

  broken(code: string): void {
    this.destroy(Object.assign(new Error(`${code === 'ECONNREFUSED' ? 'connect' : 'read'} ${code}`), { code }))
  }

  override _read(): void {}

  override _write(data: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.active()
    this.connection?.request(data)
    done()
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
    this.active()
    this.connection?.request(Buffer.concat(chunks.map(({ chunk }) => chunk)))
    done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.connection?.clientClosed()
    done()
    this.network.time.schedule(this.owner, 1, () => !this.destroyed && this.push(null))
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.stopIdle()
    this.connection?.clientClosed()
    done(error)
  }

  private active(): void {
    this.stopIdle()
    if (this.idleMs <= 0 || this.destroyed) return
    this.stopIdle = this.network.time.schedule(this.owner, this.idleMs, () => this.emit('timeout'))
  }
}
