// The shop of the chaos run: it keeps creating orders, and ships, extends, cancels, confirms by hand and takes back some of them, often
// at the very instant of the deadline. It writes down what it asked for and what it was told.

import type { ModelStatic, Sequelize, Transaction } from 'sequelize'
import type { OrderTimers } from '../lib/index.js'
import type { OrderRow } from '../test/support/order.js'
import { Agenda } from './agenda.js'
import type { Entry, Wish } from './entries.js'
import type { Random } from './random.js'
import { type makeRules, PAY_WITHIN_MS } from './rules.js'

const BATCH = 20
const SHIPPED_OF_BATCH = 8
const TIMERS_OF_BATCH = BATCH + SHIPPED_OF_BATCH
const LANES = 6
/** A wish for the instant of the deadline comes so much before or after it, at most. */
const RACE_MS = 25

export class Shop {
  readonly history: Entry[] = []
  private readonly agenda = new Agenda()
  private created = 0
  private stopping = false

  constructor(
    private readonly sequelize: Sequelize,
    private readonly Order: ModelStatic<OrderRow>,
    private readonly timers: OrderTimers<ReturnType<typeof makeRules>>,
    private readonly random: Random,
  ) {}

  /** Creates so many timers a second, and catches up after an outage, until told to stop. */
  async run(timersPerSecond: number): Promise<void> {
    const begin = performance.now()
    const isBehind = () => this.created < ((performance.now() - begin) / 1000) * timersPerSecond
    const lane = async (random: Random): Promise<void> => {
      while (!this.stopping) {
        if (isBehind()) await this.createBatch(random)
        else await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
    await Promise.all(Array.from({ length: LANES }, () => lane(this.random.branch())))
    await this.agenda.finish()
  }

  stop(): void {
    this.stopping = true
  }

  private async createBatch(random: Random): Promise<void> {
    this.created += TIMERS_OF_BATCH
    try {
      const orders = await this.Order.bulkCreate(Array.from({ length: BATCH }, () => ({ status: 1 })))
      await Promise.all(orders.slice(0, SHIPPED_OF_BATCH).map(({ id }) => this.ship(id, random)))
      for (const { id } of orders.slice(SHIPPED_OF_BATCH)) if (random.chance(0.1)) this.payAtTheDeadline(id, random)
    } catch {
      this.created -= TIMERS_OF_BATCH
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  /** Ships an order and says by when it is confirmed, in one transaction or in two steps, or as somebody would who knows nothing of timers. */
  private async ship(id: number, random: Random): Promise<void> {
    const after = random.between(500, 4000)
    const way = random.next()
    const deadline = await this.wish(id, 'schedule', async () => {
      if (way < 0.1) return this.writeStraight(id, after)
      if (way < 0.7) return this.inTransaction(id, 1, (transaction) => this.timers.schedule('order_confirm', id, { after, transaction }))
      await this.move(id, 1, 4)
      return (await this.timers.schedule('order_confirm', id, { after })).deadline
    })
    if (deadline === null) return
    const left = deadline.getTime() - Date.now()
    const fate = random.next()
    const sometime = random.between(0, Math.max(0, left))
    const atTheDeadline = left + random.between(-RACE_MS, RACE_MS)
    if (fate < 0.1) this.agenda.later(sometime, () => this.extend(id, random))
    else if (fate < 0.15) this.agenda.later(atTheDeadline, () => this.extend(id, random))
    else if (fate < 0.2) this.agenda.later(sometime, () => this.cancel(id))
    else if (fate < 0.25) this.agenda.later(atTheDeadline, () => this.cancel(id))
    else if (fate < 0.3) this.agenda.later(atTheDeadline, () => this.confirm(id))
    else if (fate < 0.35) this.agenda.later(sometime, () => this.takeBack(id, random))
  }

  private async extend(id: number, random: Random): Promise<void> {
    const by = random.between(200, 2500)
    await this.wish(id, 'extend', async () => (await this.timers.extend('order_confirm', id, by)).deadline)
  }

  private async cancel(id: number): Promise<void> {
    await this.wish(id, 'cancel', async () => (await this.timers.cancel('order_confirm', id)).deadline)
  }

  private async confirm(id: number): Promise<void> {
    await this.wish(id, 'confirm by hand', () => this.move(id, 4, 5))
  }

  /** Out of `from`, and back again a while later with a deadline of its own. */
  private async takeBack(id: number, random: Random): Promise<void> {
    await this.wish(id, 'leave', () => this.move(id, 4, 2))
    const after = random.between(300, 2000)
    this.agenda.later(random.between(50, 1000), async () => {
      await this.wish(id, 'schedule', () =>
        this.inTransaction(id, 2, (transaction) => this.timers.schedule('order_confirm', id, { after, transaction })),
      )
    })
  }

  private payAtTheDeadline(id: number, random: Random): void {
    this.agenda.later(PAY_WITHIN_MS + random.between(-RACE_MS, RACE_MS), async () => {
      await this.move(id, 1, 2).catch(() => {})
    })
  }

  private async writeStraight(id: number, after: number): Promise<Date> {
    const confirmDueAt = new Date(Date.now() + after)
    const [count] = await this.Order.update({ status: 4, confirmDueAt }, { where: { id, status: 1 } })
    if (count === 0) throw new Refused()
    return confirmDueAt
  }

  private inTransaction(id: number, from: number, schedule: (transaction: Transaction) => Promise<{ deadline: Date | null }>) {
    return this.sequelize.transaction(async (transaction) => {
      await this.move(id, from, 4, transaction)
      return (await schedule(transaction)).deadline
    })
  }

  private async move(id: number, from: number, to: number, transaction?: Transaction): Promise<null> {
    const [count] = await this.Order.update({ status: to }, { where: { id, status: from }, ...(transaction && { transaction }) })
    if (count === 0) throw new Refused()
    return null
  }

  /** Asks, and writes down the answer. Returns the deadline that was acknowledged. */
  private async wish(id: number, wish: Wish, ask: () => Promise<Date | null>): Promise<Date | null> {
    try {
      const deadline = await ask()
      this.history.push({ id, wish, outcome: 'acknowledged', deadline: deadline?.getTime() ?? null })
      return deadline
    } catch (error) {
      this.history.push({ id, wish, outcome: isRefusal(error) ? 'refused' : 'unknown', deadline: null })
      return null
    }
  }
}

/** The order was not where it should have been: nothing was done. */
class Refused extends Error {}

/** A conflict, and a lock that was waited for in vain, are certain; anything else leaves it open whether Postgres did it. */
function isRefusal(error: unknown): boolean {
  const { status, code } = error as { status?: number; code?: string }
  return error instanceof Refused || status === 409 || code === 'ERR_ORDER_TIMERS_ROW_LOCKED'
}
