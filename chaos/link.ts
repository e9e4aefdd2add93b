// A host's link to Redis or to Postgres: one proxy for each of the servers behind it, which all behave alike.

import { type Direction, type Held, TcpProxy, type Traffic } from '../test/support/tcp-proxy.js'

export class Link {
  private constructor(private readonly proxies: readonly TcpProxy[]) {}

  static async open(ports: readonly number[]): Promise<Link> {
    return new Link(await Promise.all(ports.map((port) => TcpProxy.start(port))))
  }

  /** In the order of the servers' ports. */
  get ports(): number[] {
    return this.proxies.map(({ port }) => port)
  }

  get traffic(): Traffic {
    const total: Traffic = { requests: 0, replies: 0, heldBack: 0, delayed: 0, repliesDropped: 0, connectionsCut: 0 }
    for (const { traffic } of this.proxies) for (const name of Object.keys(total) as (keyof Traffic)[]) total[name] += traffic[name]
    return total
  }

  pass(): void {
    for (const proxy of this.proxies) proxy.pass()
  }

  /** New connections lead to another server. */
  lead(port: number): void {
    for (const proxy of this.proxies) proxy.lead(port)
  }

  delay(ms: number): void {
    for (const proxy of this.proxies) proxy.delay(ms)
  }

  silence(direction?: Direction): void {
    for (const proxy of this.proxies) proxy.silence(direction)
  }

  reset(): void {
    for (const proxy of this.proxies) proxy.reset()
  }

  dropReply(request: string | string[], times: number): void {
    for (const proxy of this.proxies) proxy.dropReply(request, times)
  }

  /** Stops the first such request to any of the servers. */
  hold(request: string | string[], direction: Direction): Held {
    const held = this.proxies.map((proxy) => proxy.hold(request, direction))
    return {
      seen: Promise.race(held.map(({ seen }) => seen)),
      release: () => {
        for (const each of held) each.release()
      },
    }
  }

  count(direction: Direction, text: string | string[]): { readonly seen: number; end(): void } {
    const counts = this.proxies.map((proxy) => proxy.count(direction, text))
    return {
      get seen() {
        return counts.reduce((sum, { seen }) => sum + seen, 0)
      },
      end: () => {
        for (const count of counts) count.end()
      },
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.stop()))
  }
}
