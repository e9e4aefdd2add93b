// The simulated payment service: sessions that a customer can pay until they are closed, webhooks that come late, twice or never, and times in which it
// is slow or down. It knows the truth about the money, by which the run is judged.

import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../random.js'

export interface Session {
  id: string
  orderId: string
  state: 'open' | 'paid' | 'expired'
  refunded: boolean
}

/** Counted by order, for the judge. */
export interface Enquiries {
  /** When it was first asked about, milliseconds since 1970. */
  firstAt: number
  asked: number
  /** Answers by which the order may be settled, and all others, failures included. */
  yes: number
  no: number
}

export interface Webhooks {
  latestMs: number
  lost: number
  doubled: number
}

export class PaymentService {
  readonly sessions = new Map<string, Session>()
  readonly ofOrder = new Map<string, Session[]>()
  readonly enquiries = new Map<string, Enquiries>()
  /** Orders that somebody deleted here: nothing is known of them any more, and nothing can be paid. */
  readonly gone = new Set<string>()
  readonly counts = { webhooks: 0, lost: 0, doubled: 0, refused: 0, slow: 0 }
  down = false
  /** How often an order is deleted before it is first asked about. */
  deleted = 0
  /** How often a customer begins another session between the question and its answer. */
  asides = 0
  onAsked: (orderId: string) => Promise<void> = async () => {}
  slowMs = 0
  private readonly late = new Set<Promise<unknown>>()

  private constructor(
    private readonly server: Server,
    private readonly random: Random,
    private readonly webhooks: Webhooks,
    private readonly onPaid: (session: Session) => Promise<void>,
  ) {}

  static async start(random: Random, webhooks: Webhooks, onPaid: (session: Session) => Promise<void>): Promise<PaymentService> {
    const server = createServer((request, response) => {
      void answer(request).then(
        ({ status, body }) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
        () => response.destroy(),
      )
    })
    const service = new PaymentService(server, random, webhooks, onPaid)
    const answer = (request: IncomingMessage) => service.answer(request)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return service
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** The shop begins a session. */
  open(orderId: string): Session {
    const state = this.gone.has(orderId) ? 'expired' : 'open'
    const session: Session = { id: `session-${this.sessions.size + 1}`, orderId, state, refunded: false }
    this.sessions.set(session.id, session)
    this.ofOrder.set(orderId, [...(this.ofOrder.get(orderId) ?? []), session])
    return session
  }

  /** The customer pays. @returns false where the session was closed */
  pay(session: Session): boolean {
    if (session.state !== 'open') return false
    session.state = 'paid'
    this.notify(session)
    return true
  }

  refund(id: string): void {
    const session = this.sessions.get(id)
    if (session) session.refunded = true
  }

  expire(session: Session): void {
    if (session.state === 'open') session.state = 'expired'
  }

  private delete(orderId: string): void {
    this.gone.add(orderId)
    for (const session of this.ofOrder.get(orderId) ?? []) this.expire(session)
  }

  /** Until every webhook that is under way has come. */
  async quiet(): Promise<void> {
    while (this.late.size > 0) await Promise.all(this.late)
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  /** `POST /close/ID` closes what can still be paid for an order; `GET /order/ID` only looks. */
  private async answer(request: IncomingMessage): Promise<{ status: number; body: object }> {
    const [, act = '', orderId = ''] = (request.url ?? '').split('/')
    const known = this.enquiries.get(orderId)
    const counted = known ?? { firstAt: Date.now(), asked: 0, yes: 0, no: 0 }
    this.enquiries.set(orderId, counted)
    if (!known && this.random.chance(this.deleted)) this.delete(orderId)
    counted.asked += 1
    if (this.slowMs > 0) {
      this.counts.slow += 1
      await delay(this.slowMs)
    }
    if (this.down) {
      this.counts.refused += 1
      counted.no += 1
      return { status: 503, body: {} }
    }
    if (this.gone.has(orderId)) {
      counted.no += 1
      return { status: 404, body: {} }
    }
    const sessions = this.ofOrder.get(orderId) ?? []
    if (act === 'close') for (const session of sessions) this.expire(session)
    const isPaid = sessions.some(({ state, refunded }) => state === 'paid' && !refunded)
    if (isPaid) counted.no += 1
    else counted.yes += 1
    if (this.random.chance(this.asides)) await this.onAsked(orderId).catch(() => {})
    return { status: 200, body: { state: isPaid ? 'paid' : 'unpaid', id: sessions.at(-1)?.id } }
  }

  private notify(session: Session): void {
    this.counts.webhooks += 1
    if (this.random.chance(this.webhooks.lost)) {
      this.counts.lost += 1
      return
    }
    const times = this.random.chance(this.webhooks.doubled) ? 2 : 1
    if (times === 2) this.counts.doubled += 1
    for (let n = 0; n < times; n++) {
      const lateMs = this.random.next() * (this.random.chance(0.1) ? this.webhooks.latestMs : this.webhooks.latestMs / 20)
      const coming: Promise<unknown> = delay(lateMs)
        .then(() => this.onPaid(session))
        .catch(() => {})
        .finally(() => this.late.delete(coming))
      this.late.add(coming)
    }
  }
}
