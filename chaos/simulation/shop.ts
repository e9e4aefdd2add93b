// The shop of a simulation: does what a story says that it wishes, through the package's calls and its own models, and notes how each ended.

import type { Transaction } from 'sequelize'
import type { OrderTimersError } from '../../lib/index.js'
import type { OrderRow } from '../../test/support/order.js'
import type { Answer, Wish } from './history.js'
import type { Step } from './story.js'
import { SHOP, type World } from './world.js'

/** Errors after which nothing was written. */
const REFUSALS = new Set(['ORDER_NOT_IN_FROM', 'NO_TIMER', 'ORDER_NOT_FOUND', 'POSTGRES_UNAVAILABLE'])

interface Answered {
  id?: string | number
  deadline?: Date | null | undefined
  status?: number | undefined
  armed?: unknown
}

export class Shop {
  readonly wishes: Wish[] = []
  private readonly ids: number[] = []
  private readonly calling: Promise<void>[] = []

  constructor(private readonly world: World) {}

  /** @returns false where the step is none of the shop's */
  carryOut(step: Step): boolean {
    const { timers } = this.world.shop
    if (this.world.story.rules === 'one' && ['place', 'call', 'uncall'].includes(step.do)) return true
    switch (step.do) {
      case 'ship':
        this.wish('ship', undefined, () => this.ship(step.after))
        return true
      case 'place':
        this.wish('place', undefined, () => this.create({ status: 1 }))
        return true
      case 'schedule':
        this.onOrder(step.order, 'schedule', (id) => timers.schedule('order_confirm', id, { after: step.by }))
        return true
      case 'extend':
        this.onOrder(step.order, 'extend', (id) => timers.extend('order_confirm', id, step.by))
        return true
      case 'cancel':
        this.onOrder(step.order, 'cancel', (id) => timers.cancel('order_confirm', id))
        return true
      case 'move':
        this.onOrder(step.order, 'move', (id) => this.update(id, { status: step.to }))
        return true
      case 'write':
        this.onOrder(step.order, 'write', (id) => this.update(id, { confirmDueAt: this.fromNow(step.after) }))
        return true
      case 'setex':
        this.setKey(this.order(step.order), step.after)
        return true
      case 'call':
        this.wish('call', step.id, () => timers.schedule('order_call', String(step.id), { after: step.after }))
        return true
      case 'uncall':
        this.wish('uncall', step.id, () => timers.cancel('order_call', String(step.id)))
        return true
    }
    return false
  }

  /** The newest orders first, and round again. */
  order(which: number): number | undefined {
    return this.ids.at(-1 - (which % Math.max(1, this.ids.length)))
  }

  /** When every call has ended. */
  async quiet(): Promise<void> {
    await Promise.all(this.calling)
  }

  private onOrder(which: number, call: Wish['call'], act: (id: number) => Promise<Answered>): void {
    const id = this.order(which)
    if (id !== undefined) this.wish(call, id, () => act(id))
  }

  private wish(call: Wish['call'], id: number | undefined, act: () => Promise<Answered>): void {
    const { time } = this.world
    const wish: Wish = { call, id, invokedAt: time.epochMs, completedAt: Number.POSITIVE_INFINITY, answer: 'unknown' }
    this.wishes.push(wish)
    const done = (answer: Answer) => Object.assign(wish, { answer, completedAt: time.epochMs })
    const answered = time.as(SHOP, act).then(
      ({ id: found, deadline, status, armed }) => {
        if (found !== undefined) wish.id = Number(found)
        wish.deadline = deadline?.getTime() ?? null
        wish.status = status
        wish.armed = armed
        done('ok')
      },
      (error: OrderTimersError) => {
        wish.code = (error.code ?? String(error)).replace('ERR_ORDER_TIMERS_', '')
        done(REFUSALS.has(wish.code) ? 'refused' : 'unknown')
      },
    )
    this.calling.push(answered)
  }

  private ship(after: number): Promise<Answered> {
    const { sequelize, timers } = this.world.shop
    return sequelize.transaction(async (transaction) => {
      const { id } = await this.create({ status: 4 }, transaction)
      return timers.schedule('order_confirm', id, { after, transaction })
    })
  }

  private async create(values: { status: number }, transaction?: Transaction): Promise<{ id: number }> {
    const { id } = await this.Order.create(values, transaction ? { transaction } : {})
    this.ids.push(id)
    return { id }
  }

  private async update(id: number, values: { status?: number; confirmDueAt?: Date | null }): Promise<Answered> {
    await this.Order.update(values, { where: { id } })
    return { id, deadline: values.confirmDueAt, status: values.status }
  }

  /** As another service would, on a connection of its own. */
  private setKey(id: number | undefined, after: number): void {
    const { redis } = this.world
    if (id !== undefined && !redis.down) redis.execute(['SET', `order_confirm:${id}`, '1', 'PX', String(after)])
  }

  private fromNow(after: number | null): Date | null {
    return after === null ? null : new Date(this.world.time.epochMs + after)
  }

  private get Order(): typeof OrderRow {
    return this.world.shop.sequelize.models.Order as unknown as typeof OrderRow
  }
}
