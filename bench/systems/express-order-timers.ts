// express-order-timers, the built package, through its public API: `schedule` on the timers or on a request, and the worker.
// One exception: many timers are loaded by the call with which the sweep arms rows in bulk; their rows have the deadline already.
import type * as Package from '../../lib/index.js'
import { CONFIRMED, Order, openOrders, SHIPPED } from '../order.js'
import { IN_FLIGHT, inPortions, keepInFlight, type Place, type Producer, type System, type Worker, type WorkOrder } from './system.js'

const built = new URL('../../dist/esm/index.js', import.meta.url).href
const { orderTimers, startExpiryWorker, transition } = (await import(built)) as typeof Package

const KIND = 'order_confirm'
/** More than this is loaded in bulk. */
const MOST_CALLS = 5_000
const ARM_AT_ONCE = 2_000

type Calls = Pick<Package.OrderTimers, 'schedule'>

/** The rule of each way of using it: the deadline on the row, by default; in Redis's part alone; with the shop's `run`; with history; without deadline. */
function ruleOf(variant: string | undefined) {
  const move = { from: SHIPPED, to: CONFIRMED }
  if (variant === 'redis') return transition(Order, { ...move, since: 'createdAt', after: '24h' })
  if (variant === 'external') return transition(Order, { ...move, deadline: false })
  if (variant === 'history') return transition(Order, { ...move, deadline: 'confirmDueAt', history: true })
  if (variant === 'run') return transition(Order, { ...move, deadline: 'confirmDueAt', run: async () => {} })
  return transition(Order, { ...move, deadline: 'confirmDueAt' })
}

export function openTimers(place: Place) {
  const { databaseUrl, variant } = place
  const sequelize = openOrders(databaseUrl)
  const redis = redisOf(place)
  const timers = orderTimers({ logger: false, redis, rules: { [KIND]: ruleOf(variant) } }) as unknown as Package.OrderTimers
  const schedule = (calls: Calls, id: number, dueAt: number) =>
    variant === 'redis' ? calls.schedule(KIND, shippedNow(id)) : calls.schedule(KIND, id, { at: dueAt })
  const close = async () => {
    await timers.close()
    await sequelize.close()
  }
  return { timers, schedule, close }
}

function redisOf({ redisUrl, nodes, sentinels }: Place): Package.OrderTimersOptions['redis'] {
  if (nodes) return { nodes } as never
  if (!sentinels) return redisUrl
  return { name: 'shop', sentinels: sentinels.map((address) => ({ host: '127.0.0.1', port: Number(address.split(':')[1]) })) }
}

/** The order as a request has it that shipped it just now: its deadline is a day away by the rule with `since`. */
function shippedNow(id: number): Order {
  return Order.build({ id, userId: 1, total: '19.9', status: SHIPPED, createdAt: new Date() }, { isNewRecord: false, raw: true })
}

export const expressOrderTimers: System = {
  async produce(place): Promise<Producer> {
    const { timers, schedule, close } = openTimers(place)
    await timers.check()
    const orders = new Map<number, Order>()
    return {
      prepare: async (firstId, count) => {
        if (place.variant === 'redis') for (let id = firstId; id < firstId + count; id += 1) orders.set(id, shippedNow(id))
      },
      schedule: (id, dueAt) => {
        const order = orders.get(id)
        return order ? timers.schedule(KIND, order) : schedule(timers, id, dueAt)
      },
      load: (firstId, count, dueAt) =>
        count > MOST_CALLS || place.variant === 'redis'
          ? inPortions(count, ARM_AT_ONCE, (first, size) => armInBulk(timers, firstId + first, size, (i) => dueAt(first + i)))
          : keepInFlight(count, IN_FLIGHT, (i) => timers.schedule(KIND, firstId + i, { at: dueAt(i) })),
      close,
    }
  },

  async work(order): Promise<Worker> {
    return order.variant === 'sweep' ? workBySweep(order) : work(order)
  },
}

async function work(order: WorkOrder): Promise<Worker> {
  const { timers, close } = openTimers(order)
  let handled = 0
  const worker = startExpiryWorker(timers)
  worker.on('settled', ({ orders }) => {
    handled += orders.length
  })
  await worker.ready
  return {
    handled: () => handled,
    detail: () => ({ externalScans: worker.health().redis?.externalScans ?? 0 }),
    close: async () => {
      await worker.stop()
      await close()
    },
  }
}

interface Swept {
  overdue: number
  armed: number
  durationMs: number
  horizonMs: number
  begunAt: number
}

/** Sweeps each second, and tells of the sweeps that settled and of those that found nothing. */
async function workBySweep(order: WorkOrder): Promise<Worker> {
  const { timers, close } = openTimers(order)
  const sweeps: Swept[] = []
  const worker = startExpiryWorker(timers, { fallback: '* * * * * *' })
  await worker.ready
  worker.on('swept', (sweep) => sweeps.push({ ...sweep, begunAt: Date.now() - sweep.durationMs }))
  return {
    handled: () => sweeps.reduce((sum, { overdue }) => sum + overdue, 0),
    detail: () => {
      const settling = sweeps.filter(({ overdue }) => overdue > 0)
      const empty = sweeps.filter(({ overdue, armed }) => overdue + armed === 0)
      return {
        begunAt: Math.min(...settling.map(({ begunAt }) => begunAt)),
        emptySweeps: empty.length,
        overdueSweepMs: settling.reduce((sum, { durationMs }) => sum + durationMs, 0),
        emptySweepMs: middle(empty.map(({ durationMs, horizonMs }) => durationMs - horizonMs)),
        emptyHorizonMs: middle(empty.map(({ horizonMs }) => horizonMs)),
      }
    },
    close: async () => {
      await worker.stop()
      await close()
    },
  }
}

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

interface Index {
  armMissing(kind: string, ids: string[], deadlines: number[]): Promise<number>
}

async function armInBulk(timers: Package.OrderTimers, firstId: number, count: number, dueAt: (index: number) => number): Promise<void> {
  const { redis } = (timers as unknown as Record<symbol, { redis: { index: Index } }>)[Symbol.for('express-order-timers.runtime')]!
  const ids = Array.from({ length: count }, (_, i) => String(firstId + i))
  const deadlines = ids.map((_, i) => dueAt(i))
  await redis.index.armMissing(KIND, ids, deadlines)
}
