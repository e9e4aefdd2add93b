// The seven things that the main job must show. Each plays one order's story and returns what came of it, or throws what did not hold.

import type { ExpiryWorker } from 'express-order-timers'
import type { Redis } from 'ioredis'
import type { Customer, SeenOrder } from './customer.js'
import { CANCELLED, COMPLETED, PLACED } from './models.js'
import type { Shop } from './shop.js'
import type { StatusChanges } from './status-changes.js'
import { waitFor } from './wait.js'

export const payAfterMs = 2000
export const confirmAfterMs = 2000
const extendByMs = 2000
const setexSeconds = 3

/** An order that moved at its deadline may be this late; one that had to wait for the sweep, more. */
const punctualMs = 1000
const limitMs = 10_000

export interface Stage {
  shop: Shop
  customer: Customer
  changes: StatusChanges
  /** A connection of somebody else's, who knows nothing of this package. */
  stranger: Redis
  prefix: string
  /** Which way each order went, by the worker's own word. */
  ways: Map<number, string>
  flush(): Promise<unknown>
}

export interface Outcome {
  story: string
  order: number
  way: string
  latenessMs: number
}

export async function unpaidIsCancelled(stage: Stage): Promise<Outcome> {
  const order = await stage.customer.place('unpaid')
  const latenessMs = await settles(stage, order.id, CANCELLED, payDeadline(order), punctualMs)
  return outcome(stage, 'not paid: cancelled at its deadline', order, latenessMs)
}

export async function shippedIsConfirmed(stage: Stage): Promise<Outcome> {
  const order = await stage.customer.receive('shipped')
  const latenessMs = await settles(stage, order.id, COMPLETED, confirmDeadline(order), punctualMs)
  return outcome(stage, 'shipped: confirmed at its deadline', order, latenessMs)
}

/** The story is over when the order's timer has come due and is gone, and the order is as the customer left it. */
export async function confirmedByHandStays(stage: Stage): Promise<Outcome> {
  const order = await stage.customer.receive('confirmed by hand')
  const deadline = confirmDeadline(order)
  await stage.customer.confirm(order.id)
  await waitFor(`the timer of order ${order.id} is gone`, limitMs, async () => {
    const key = await stage.stranger.exists(`${stage.prefix}order_confirm:${order.id}`)
    return key === 0 && (await stage.changes.now()) > deadline + punctualMs
  })
  const [byHand, another] = (await stage.changes.of(order.id)).filter(({ to }) => to === COMPLETED)
  if (byHand === undefined || another !== undefined || stage.ways.has(order.id)) {
    throw new Error(`order ${order.id} was confirmed by hand, and then its timer did something`)
  }
  return { story: 'confirmed by hand: its timer did nothing', order: order.id, way: 'by hand', latenessMs: byHand.at - deadline }
}

export async function extendedWaits(stage: Stage): Promise<Outcome> {
  const order = await stage.customer.receive('extended')
  const extended = await stage.customer.extend(order.id, `${extendByMs}ms`)
  const [before, after] = [confirmDeadline(order), confirmDeadline(extended)]
  if (after !== before + extendByMs) throw new Error(`order ${order.id} was extended by ${after - before} ms instead of ${extendByMs}`)
  const latenessMs = await settles(stage, order.id, COMPLETED, after, punctualMs)
  return outcome(stage, 'extended: confirmed at its new deadline, not before', order, latenessMs)
}

/** The stranger's key expires so many seconds after Redis got it: after `from`, and by `until`. */
export async function strangersKeyCounts(stage: Stage): Promise<Outcome> {
  const order = await stage.customer.placeAndPay('key set by another client')
  const from = await stage.changes.now()
  await stage.stranger.setex(`${stage.prefix}order_unshipped:${order.id}`, setexSeconds, '1')
  const latenessMs = await settles(stage, order.id, CANCELLED, from + setexSeconds * 1000, punctualMs)
  return outcome(stage, 'plain SETEX by another client: cancelled', order, latenessMs)
}

/** Nobody listens when Redis expires the key: the worker finds the order when it starts. */
export async function worksOffWhatCameDue(stage: Stage, startWorker: () => ExpiryWorker): Promise<Outcome> {
  const order = await stage.customer.place('due while the worker was down')
  const deadline = payDeadline(order)
  await waitFor('the deadline has passed', limitMs, async () => (await stage.changes.now()) > deadline + 250)
  const still = await stage.shop.Order.findByPk(order.id)
  if (still?.status !== PLACED) throw new Error(`order ${order.id} moved although no worker was running`)
  const startedAt = await stage.changes.now()
  startWorker()
  const latenessMs = await settles(stage, order.id, CANCELLED, deadline, limitMs)
  const sinceStart = (deadline + latenessMs - startedAt).toFixed(0)
  return outcome(stage, `due while the worker was down: cancelled ${sinceStart} ms after it started`, order, latenessMs)
}

/** Flushed until it is due: whoever armed it again, and the sweep that finds its row overdue, are what is left. */
export async function survivesFlush(stage: Stage, worker: ExpiryWorker): Promise<Outcome> {
  await waitFor('a sweep has just ended', limitMs, async () => sinceSweep(worker) < 500 && untilSweep(worker) > payAfterMs + 1000)
  const order = await stage.customer.place('Redis lost everything')
  const deadline = payDeadline(order)
  await waitFor('the deadline has passed', limitMs, async () => {
    await stage.flush() // again and again, since the worker notices each loss and arms the order again
    return (await stage.changes.now()) > deadline
  })
  const latenessMs = await settles(stage, order.id, CANCELLED, deadline, limitMs)
  const way = stage.ways.get(order.id)
  const how = way === 'sweep' ? 'cancelled by the sweep' : 'armed again from Postgres, cancelled'
  return outcome(stage, `Redis's data flushed: ${how}`, order, latenessMs)
}

function sinceSweep(worker: ExpiryWorker): number {
  return Date.now() - Number(worker.health().sweep.lastEndedAt ?? 0)
}

function untilSweep(worker: ExpiryWorker): number {
  return Number(worker.health().sweep.next) - Date.now()
}

/** Waits for the one change to this status, and returns how late it was. Throws where it was early, too late, or not the only one. */
async function settles(stage: Stage, id: number, to: number, deadline: number, mostMs: number): Promise<number> {
  const isThere = async () => (await stage.changes.of(id)).some((change) => change.to === to) && stage.ways.has(id)
  const remaining = Math.max(0, deadline - (await stage.changes.now()))
  await waitFor(`order ${id} has status ${to}`, remaining + limitMs, isThere)
  const [change, another] = (await stage.changes.of(id)).filter((one) => one.to === to)
  const latenessMs = (change?.at ?? 0) - deadline
  if (another !== undefined) throw new Error(`order ${id} was settled twice`)
  if (latenessMs < 0) throw new Error(`order ${id} was settled ${-latenessMs} ms before its deadline`)
  if (latenessMs > mostMs) throw new Error(`order ${id} was settled ${latenessMs.toFixed(1)} ms late`)
  return latenessMs
}

function outcome(stage: Stage, story: string, { id }: SeenOrder, latenessMs: number): Outcome {
  return { story, order: id, way: stage.ways.get(id) ?? '', latenessMs }
}

function payDeadline({ createdAt }: SeenOrder): number {
  return Date.parse(createdAt) + payAfterMs
}

function confirmDeadline({ confirmDueAt }: SeenOrder): number {
  return Date.parse(confirmDueAt as string)
}
