// Plays a story: each command is done to the real shop, and its answer told to the order's model. At the end everything has to come to
// rest, and the ledger is held against the models. Throws where a promise was broken.

import assert from 'node:assert/strict'
import { Op } from 'sequelize'
import type { OrderTimersError } from '../../lib/index.js'
import { flush } from '../support/armed.js'
import { BY_HAND } from '../support/ledger.js'
import { shiftClock } from '../support/shifted-clock.js'
import { holdsFor, waitUntil } from '../support/waiting.js'
import type { Command, Story } from './commands.js'
import { CONFIRMED, ELSEWHERE, OrderModel, SHIPPED } from './order-model.js'
import { KIND, World } from './world.js'

/** From the last deadline until a dead worker's lease has ended and a sweep has run, on a slow machine. */
const GRACE_MS = 6000
const MOST_WORKERS = 2

export async function play({ processClockMs, commands }: Story): Promise<void> {
  shiftClock(processClockMs)
  const world = await World.open()
  try {
    const player = new Player(world)
    await world.startWorker()
    for (const command of commands) await player.carryOut(command)
    if (world.workers.length === 0) await world.startWorker()
    await player.comeToRest()
    await player.judge()
  } finally {
    await world.close()
    shiftClock(0)
  }
}

class Player {
  private readonly orders = new Map<number, OrderModel>()
  private readonly all: OrderModel[] = []

  constructor(private readonly world: World) {}

  async carryOut(command: Command): Promise<void> {
    const { world } = this
    switch (command.do) {
      case 'wait':
        return holdsFor(command.ms, () => true)
      case 'set clock':
        return world.clock.set(command.ms)
      case 'flush Redis':
        return void (await flush(world.redis))
      case 'start worker':
        return world.workers.length < MOST_WORKERS ? world.startWorker() : undefined
      case 'stop worker':
        return world.stopWorker(command.worker)
      case 'crash worker':
        return world.crashWorker(command.worker)
      case 'ship':
        return this.ship(command.order, command.after)
      default: {
        const order = this.orders.get(command.order)
        return order && this.actOn(order, command)
      }
    }
  }

  async comeToRest(): Promise<void> {
    const { client } = this.world.database
    const pending = `FROM ${this.world.database.schema}.orders WHERE status = ${SHIPPED} AND "confirmDueAt" IS NOT NULL`
    const left = `coalesce(max(extract(epoch FROM "confirmDueAt" - pg_catalog.clock_timestamp() - off) * 1000), 0)::float8`
    const { rows } = await client.query<{ left: number }>(`SELECT ${left} AS left FROM clock, (SELECT * ${pending}) AS pending`)
    const count = async () => (await client.query<{ count: number }>(`SELECT count(*)::int AS count ${pending}`)).rows[0]?.count
    // What is not at rest by then is found by the judge.
    await waitUntil(async () => (await count()) === 0, { within: Math.max(0, rows[0]?.left ?? 0) + GRACE_MS, every: 25 }).catch(() => {})
  }

  async judge(): Promise<void> {
    const { ledger, client } = this.world.database
    const byWorkers = (await ledger.changes()).filter(({ by }) => by !== BY_HAND)
    for (const order of this.all) order.judge(byWorkers.filter(({ id }) => id === String(order.id)))
    assert.deepEqual(await ledger.early(), [])
    assert.deepEqual(await ledger.twice(), [])
    const effects = await client.query<{ id: string }>('SELECT order_id::text AS id FROM effects')
    assert.deepEqual(effects.rows.map(({ id }) => id).sort(), byWorkers.map(({ id }) => id).sort())
  }

  private async ship(slot: number, after: number): Promise<void> {
    const { sequelize, Order, timers } = this.world
    const { id, deadline } = await sequelize.transaction(async (transaction) => {
      const order = await Order.create({ status: SHIPPED }, { transaction })
      const { deadline } = await timers.schedule(KIND, order, { after, transaction })
      return { id: order.id, deadline: deadline as Date }
    })
    const order = new OrderModel(id, deadline.getTime())
    this.orders.set(slot, order)
    this.all.push(order)
  }

  private async actOn(order: OrderModel, command: Extract<Command, { order: number }>): Promise<void> {
    const { timers, redis } = this.world
    switch (command.do) {
      case 'schedule':
        return this.call(order, timers.schedule(KIND, order.id, { after: command.after }), (deadline) => order.scheduled(deadline))
      case 'extend':
        return this.call(order, timers.extend(KIND, order.id, command.by), (deadline) => order.extended(deadline, command.by))
      case 'cancel':
        return this.call(order, timers.cancel(KIND, order.id), () => order.cancelled())
      case 'confirm':
        return this.moveByHand(order, CONFIRMED)
      case 'leave':
        return this.moveByHand(order, ELSEWHERE)
      case 'come back':
        return this.bringBack(order, command.after)
      case 'hint':
        return void (await redis.client.set(`${redis.prefix}${KIND}:${order.id}`, '1', 'PX', 10))
    }
  }

  /** Waits for what a call on the timers comes to, which may be one of two refusals. */
  private async call(order: OrderModel, answer: Promise<{ deadline?: Date | null }>, done: (deadlineMs: number) => void): Promise<void> {
    try {
      done((await answer).deadline?.getTime() ?? Number.NaN)
    } catch (error) {
      const { code } = error as OrderTimersError
      if (code === 'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM') order.wasNotInFrom()
      else if (code === 'ERR_ORDER_TIMERS_NO_TIMER') order.hadNoTimer()
      else throw error
    }
  }

  private async moveByHand(order: OrderModel, to: number): Promise<void> {
    const [moved] = await this.world.Order.update({ status: to }, { where: { id: order.id, status: SHIPPED } })
    if (moved === 1) order.movedByHand(to)
    else order.wasNotInFrom()
  }

  private async bringBack(order: OrderModel, after: number | null): Promise<void> {
    const { sequelize, Order, timers, clock } = this.world
    await sequelize.transaction(async (transaction) => {
      const where = { id: order.id, status: { [Op.ne]: SHIPPED } }
      const [, [row]] = await Order.update({ status: SHIPPED }, { where, transaction, returning: true })
      if (!row) return order.wasInFrom()
      if (after === null) return order.cameBackWith(row.confirmDueAt?.getTime() ?? null, await clock.latest())
      const { deadline } = await timers.schedule(KIND, order.id, { after, transaction })
      order.cameBack(deadline?.getTime() as number)
    })
  }
}
