// A shop with its timers registered. Each @ts-expect-error is a mistake that must not compile.

import express, { type Request } from 'express'
import {
  type Duration,
  duration,
  type ExpiryWorker,
  effect,
  type Health,
  type ListedTimer,
  OrderTimersError,
  orderTimers,
  startExpiryWorker,
  type Timer,
  transition,
  type WorkerEvents,
} from 'express-order-timers'
import { Redis } from 'ioredis'
import { fn, Op } from 'sequelize'
import { Order, sequelize } from './models.js'

// By itself: as an option's value, `new Redis()` has the compiler compare each of its methods with itself, for seconds.
const redis = new Redis({ lazyConnect: true })

export const timers = orderTimers({
  redis,
  logger: console,
  rules: {
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    order_confirm: transition(() => Order, {
      from: [3, 4],
      to: 5,
      deadline: 'confirmDueAt',
      after: '24h',
      where: { note: { [Op.not]: null } },
      set: { note: fn('now') },
      run: async (orders, { transaction, signal }) => {
        for (const order of orders) if (!signal.aborted) await order.update({ note: 'confirmed' }, { transaction })
      },
      description: (id) => `訂單 ${id} 自動確認收貨`,
    }),
    order_ship: transition(Order, { from: 2, to: 0, deadline: false }),
    order_unpaid: effect(Order, {
      where: { note: 'unpaid' },
      since: 'createdAt',
      after: '15m',
      run: async (orders, { transaction }) => {
        for (const order of orders) await order.destroy({ transaction })
      },
    }),
    order_return: transition(Order, {
      from: 5,
      to: 6,
      deadline: 'returnDueAt',
      after: (order) => (order.note === 'abroad' ? '30d' : null),
      pause: { keep: 'returnLeftMs', while: { note: 'dispute' } },
      maxExtensions: 2,
      extended: 'returnExtended',
      backfill: { since: 'createdAt' },
      history: true,
      reminders: [{ before: '2h', run: async (orders, { idempotencyKeys }) => console.log(orders[0]?.note, idempotencyKeys) }],
      afterCommit: async (orders, { idempotencyKeys, signal }) => console.log(orders[0]?.id, idempotencyKeys, signal.aborted),
      brake: { max: 1000, per: '1h' },
      individualHooks: true,
      dryRun: true,
    }),
    order_other: async ({ kind, ids, signal }) => console.log(kind, ids.length, signal.aborted),
  },
})

declare module 'express-order-timers' {
  interface Register {
    timers: typeof timers
  }
}

const app = express()
app.use(timers)
app.use('/shop', express.Router(), timers)

app.post('/orders/:id/ship', async (req, res) => {
  const order = await Order.findByPk(req.params.id, { rejectOnEmpty: true })
  const timer: Timer = await sequelize.transaction((transaction) => req.orderTimers.schedule('order_confirm', order, { transaction }))
  const { deadline, armed }: { deadline: Date | null; armed: boolean | 'on commit' } = timer
  res.json({ deadline, armed })
})

export async function rightly(req: Request, order: Order): Promise<void> {
  await req.orderTimers.schedule('order_pay', 34)
  await req.orderTimers.schedule('order_confirm', 34n, { at: new Date() })
  await req.orderTimers.schedule('order_confirm', '34', { after: '1.5h' })
  await req.orderTimers.extend('order_confirm', order, 900_000)
  await req.orderTimers.cancel('order_ship', order)
  await timers.cancel('order_other', 7, { transaction: null })
  const left: number | null = await req.orderTimers.remaining('order_pay', order)
  const [first]: ListedTimer[] = await req.orderTimers.list(order)
  const lefts: (number | null)[] = await req.orderTimers.remaining('order_pay', [order, 34, '35'] as const)
  const [[second] = []]: ListedTimer[][] = await timers.list([order, 34n])
  console.log(lefts.length, second?.kind)
  const by: Duration = '15m'
  transition(Order, { from: 1, to: 0, since: 'createdAt', after: duration(process.env.PAY_AFTER ?? '15m') })
  orderTimers({ logger: false, rules: { order_other: () => {} } })
  await req.orderTimers.pause('order_return', order)
  await req.orderTimers.resume('order_return', order, { transaction: null })
  const stopped: boolean = await timers.release('order_return')
  console.log(stopped)
  console.log(left, first?.remaining, by)
}

export async function wrongly(req: Request, order: Order): Promise<void> {
  // @ts-expect-error misspelt
  await req.orderTimers.schedule('order_cofirm', order)
  // @ts-expect-error misspelt, on the timers themselves
  await timers.schedule('order_cofirm', order)
  // @ts-expect-error no deadline of its own
  await req.orderTimers.cancel('order_pay', order)
  // @ts-expect-error no deadline of its own
  await req.orderTimers.extend('order_pay', order, '1h')
  // @ts-expect-error no deadline of its own
  await req.orderTimers.pause('order_pay', order)
  // @ts-expect-error no deadline of its own
  await req.orderTimers.resume('order_unpaid', order)
  // @ts-expect-error misspelt
  await timers.release('order_retrun')
  // @ts-expect-error text of which TypeScript does not know that it is a duration
  transition(Order, { from: 1, to: 0, since: 'createdAt', after: process.env.PAY_AFTER ?? '15m' })
  // @ts-expect-error it may be missing
  duration(process.env.PAY_AFTER)
  // @ts-expect-error no logger
  orderTimers({ logger: true, rules: { order_other: () => {} } })
  // @ts-expect-error no duration
  await req.orderTimers.extend('order_confirm', order, '15 min')
  // @ts-expect-error no duration
  await req.orderTimers.schedule('order_confirm', order, { after: 'tomorrow' })
  // @ts-expect-error a misspelt option
  await req.orderTimers.schedule('order_confirm', order, { until: new Date() })
  // @ts-expect-error misspelt
  await timers.remaining('order_cofirm', [order])
  // @ts-expect-error Order.findByPk may find none
  await timers.remaining('order_pay', [order, await Order.findByPk(34)])
  // @ts-expect-error no order
  await req.orderTimers.schedule('order_confirm', undefined)
  // @ts-expect-error Order.findByPk may find none
  await req.orderTimers.schedule('order_confirm', await Order.findByPk(34))
  // @ts-expect-error not an attribute
  transition(Order, { from: 4, to: 5, deadline: 'confirmDueOn' })
  // @ts-expect-error not an attribute
  transition(Order, { from: 1, to: 0, since: 'placedAt', after: '15m' })
  // @ts-expect-error neither deadline nor since
  transition(Order, { from: 4, to: 5 })
  // @ts-expect-error both
  transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', since: 'createdAt', after: '1h' })
  // @ts-expect-error how long after?
  transition(Order, { from: 1, to: 0, since: 'createdAt' })
  // @ts-expect-error a misspelt option
  transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', wehre: {} })
  // @ts-expect-error not an attribute
  transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', set: { confirmedBy: 'timer' } })
  const run = () => {}
  // @ts-expect-error an effect of nothing
  effect(Order, { where: { note: 'unpaid' }, since: 'createdAt', after: '15m' })
  // @ts-expect-error an effect on everything
  effect(Order, { since: 'createdAt', after: '15m', run })
  // @ts-expect-error a misspelt option
  effect(Order, { where: { note: 'unpaid' }, since: 'createdAt', after: '15m', run, aftercommit: run })
  // @ts-expect-error an effect knows no status
  effect(Order, { where: { note: 'unpaid' }, since: 'createdAt', after: '15m', run, from: 4 })
  // @ts-expect-error not an attribute
  effect(Order, { where: { note: 'unpaid' }, since: 'placedAt', after: '15m', run })
  // @ts-expect-error nothing to pause
  transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m', pause: { keep: 'returnLeftMs' } })
  // @ts-expect-error nothing that keeps what the function said
  transition(Order, { from: 1, to: 0, since: 'createdAt', after: () => '15m' })
  // @ts-expect-error no duration
  transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', history: true, reminders: [{ before: 'soon', run }] })
  // @ts-expect-error no model
  transition('Order', { from: 4, to: 5, deadline: 'confirmDueAt' })
  // @ts-expect-error a misspelt option
  orderTimers({ rule: {} })
  // @ts-expect-error no Redis
  orderTimers({ redis: true, rules: { order_other: () => {} } })
  // @ts-expect-error a misspelt option
  startExpiryWorker(timers, { fallBack: false })
}

export const worker: ExpiryWorker = startExpiryWorker(app, { fallback: { cron: '* * * * *', timezone: 'Asia/Taipei' }, lease: '30s' })
worker.on('settled', ({ kind, via, orders }) =>
  console.log(kind, via satisfies 'alarm' | 'event' | 'sweep', orders[0]?.latenessMs?.toFixed(1)),
)
worker.on('reminded', ({ kind, before, orders }) => console.log(kind, before, orders.length))
worker.on('dryRun', ({ kind, orders }) => console.log(kind, orders[0]?.deadline?.toFixed()))
worker.on('failed', ({ retryInMs }) => console.log(retryInMs === null ? 'once' : retryInMs.toFixed()))
worker.on('dead', (letter: WorkerEvents['dead'][0]) => console.error(letter.kind, letter.id, letter.attempts))
const { status, kinds }: Health = worker.health()
console.log(status satisfies 'ok' | 'degraded' | 'stopped', kinds.order_confirm?.settled)
// @ts-expect-error no such event
worker.on('expired', () => {})

export function answer(error: unknown): { status: number; code: string } | undefined {
  if (!(error instanceof OrderTimersError)) return undefined
  if (error.code === 'ERR_ORDER_TIMERS_NO_TIMER') return { status: error.status, code: error.code }
  // @ts-expect-error no such code
  if (error.code === 'ERR_ORDER_TIMERS_NO_TIMERS') return undefined
  return { status: error.expose ? error.status : 500, code: error.code }
}
