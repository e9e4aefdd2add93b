// Six rules over one table: unpaid orders, quotes, confirmations with everything that a call can do, two rules of which the first starts the
// second, and one that only Redis knows.

import { literal } from 'sequelize'
import type { Random } from '../../random.js'
import { AFTER_MS, factsOf } from '../../rules.js'
import type { Act } from '../acts.js'
import { fate, type Played, rows, type Scene, type Shop } from '../shop.js'

const PAID = 2
const SHIPPED = 4
const GONE = 19

/** Some are paid at the very deadline, some are armed by a call. */
const unpaid: Scene = async (shop, random) => {
  const kind = 'order_pay'
  const ids = await shop.create(
    kind,
    rows(40, () => ({ status: 1 })),
  )
  for (const id of ids ?? []) {
    fate(random, [
      [10, () => shop.later(shop.near(AFTER_MS[kind], random), { kind, id, call: 'write', from: 1, to: PAID })],
      [4, () => shop.later(random.between(0, 2000), { kind, id, call: 'write', from: 1, to: PAID })],
      [8, () => shop.later(random.between(0, 500), { kind, id, call: 'schedule' })],
    ])
  }
  if (ids) shop.look(kind, ids, AFTER_MS[kind], random)
  return ids !== undefined
}

const quotes: Scene = async (shop, random) => {
  const kind = 'order_quote'
  const ids = await shop.create(
    kind,
    rows(20, () => ({ status: 30 })),
  )
  for (const id of ids ?? [])
    fate(random, [[12, () => shop.later(shop.near(AFTER_MS[kind], random), { kind, id, call: 'write', from: 30, to: GONE })]])
  return ids !== undefined
}

const confirmations: Scene = async (shop, random) => {
  const ids = await shop.create(
    'order_pay',
    rows(6, () => ({ status: 1 })),
    { feature: 'deadline' },
  )
  await Promise.all((ids ?? []).map((id) => ship(shop, random, id)))
  if (ids) shop.look('order_confirm', ids, 4000, random)
  return ids !== undefined
}

async function ship(shop: Shop, random: Random, id: string): Promise<void> {
  const left = await startConfirming(shop, random, id)
  if (left === undefined) return
  const kind = 'order_confirm'
  const sometime = random.between(0, left)
  const atDeadline = shop.near(left, random)
  const inTransaction = random.chance(0.2)
  const act = (ms: number, deed: Omit<Act, 'kind' | 'id'>) => shop.later(ms, { kind, id, inTransaction, ...deed } as Act)
  const extend = { call: 'extend', by: random.between(200, 2500) } as const
  fate(random, [
    [9, () => act(sometime, extend)],
    [6, () => act(atDeadline, extend)],
    [5, () => act(sometime, { call: 'cancel' })],
    [5, () => act(atDeadline, { call: 'cancel' })],
    [5, () => act(atDeadline, { call: 'write', from: SHIPPED, to: 5, feature: 'deadline' } as never)],
    [6, () => pauseAndResume(shop, random, id, sometime)],
    [4, () => pauseAndResume(shop, random, id, atDeadline)],
    [5, () => act(sometime, { call: 'schedule', after: random.between(300, 3000) } as never)],
    [6, () => takeBack(shop, random, id, sometime)],
    [1, () => act(sometime, { call: 'remove' })],
  ])
}

/** In one transaction, in two steps, or as somebody would who knows nothing of timers. @returns how long until the deadline */
export async function startConfirming(shop: Shop, random: Random, id: string, from = 1): Promise<number | undefined> {
  const kind = 'order_confirm'
  const after = random.between(500, 4000)
  const write: Act = { kind, id, call: 'write', from, to: SHIPPED }
  const way = random.next()
  if (way < 0.15) {
    const confirmDueAt = new Date(Date.now() + after)
    return (await shop.acts.do({ ...write, set: { confirmDueAt } })) && after
  }
  if (way < 0.3) return (await shop.acts.doBoth(write, { kind, id, call: 'schedule', after }, 'cls')) && after
  if (way < 0.7) return (await shop.acts.doBoth(write, { kind, id, call: 'schedule', after })) && after
  if (!(await shop.acts.do(write))) return undefined
  return (await shop.acts.do({ kind, id, call: 'schedule', after })) && after
}

function pauseAndResume(shop: Shop, random: Random, id: string, ms: number): void {
  const kind = 'order_confirm'
  shop.agenda.later(Math.max(0, ms), async () => {
    await shop.acts.do({ kind, id, call: 'pause' })
    if (random.chance(0.8)) shop.later(random.between(100, 2000), { kind, id, call: 'resume' })
  })
}

/** Out of `from`, where the deadline stays, and back again a while later. */
function takeBack(shop: Shop, random: Random, id: string, ms: number): void {
  shop.agenda.later(ms, async () => {
    await shop.acts.do({ kind: 'order_confirm', id, call: 'write', from: SHIPPED, to: PAID })
    shop.agenda.later(random.between(50, 1000), async () => void (await startConfirming(shop, random, id, PAID)))
  })
}

/** Hooked: some are created in `from`, some moved there by one statement. The first rule's settlement starts the second rule's timer. */
const packing: Scene = async (shop, random) => {
  const kind = 'order_pack'
  const isCreatedThere = random.chance(0.6)
  const ids = await shop.create(
    kind,
    rows(20, () => ({ status: isCreatedThere ? 10 : 9 })),
  )
  if (ids && !isCreatedThere) await moveThere(shop, random, ids)
  const left = AFTER_MS[kind]
  for (const id of ids ?? []) {
    const second = left + AFTER_MS.order_pickup
    fate(random, [
      [6, () => shop.later(shop.near(left, random), { kind, id, call: 'write', from: 10, to: GONE })],
      [3, () => shop.later(random.between(0, left), { kind, id, call: 'write', from: 13, to: 10 })],
      [4, () => shop.later(random.between(0, left), { kind, id, call: 'extend', by: random.between(100, 1500), feature: 'auto' })],
      [3, () => shop.later(random.between(0, left), { kind, id, call: 'schedule', after: random.between(300, 2000) })],
      [6, () => shop.later(shop.near(second, random), { kind: 'order_pickup', id, call: 'write', from: 11, to: GONE })],
      [4, () => shop.later(shop.near(second, random), { kind: 'order_pickup', id, call: 'extend', by: 700, feature: 'cascade' })],
      [3, () => shop.later(shop.near(left, random), { kind, id, call: 'cancel', feature: 'auto' })],
    ])
  }
  if (ids) shop.look(kind, ids, left, random)
  return ids !== undefined
}

/** By one UPDATE of all, with the status as a value or as an expression; some as instances. */
async function moveThere(shop: Shop, random: Random, ids: readonly string[]): Promise<void> {
  const { orders } = shop.tables
  await Promise.all(ids.slice(0, 3).map((id) => save(shop, id, 9, 10)))
  const others = [...ids.slice(3)]
  const n = shop.wishes.number()
  const [to, status] = random.chance(0.5) ? [10, literal('status + 1')] : [13, 13]
  const asks = others.map((id) => ({ kind: 'order_pack', id, call: 'write', n, asked: { from: 9, to } }) as const)
  await shop.wishes.makeAll(asks, async () => {
    await orders.update({ status: status as number, wish: n }, { where: { id: others, status: 9 } })
    return []
  })
}

async function save(shop: Shop, id: string, from: number, to: number): Promise<void> {
  const order = await shop.tables.orders.findByPk(id).catch(() => null)
  if (order === null) return
  const n = shop.wishes.number()
  await shop.wishes.make({ kind: 'order_pack', id, call: 'write', n, asked: { from, to } }, async () => {
    await order.update({ status: to, wish: n })
    return {}
  })
}

/** What only Redis has: some keys are set by another service. */
const ratings: Scene = async (shop, random) => {
  const kind = 'order_rate'
  const ids = await shop.create(
    kind,
    rows(5, () => ({ status: 20 })),
  )
  await Promise.all((ids ?? []).map((id) => startRating(shop, random, id)))
  return ids !== undefined
}

async function startRating(shop: Shop, random: Random, id: string): Promise<void> {
  const kind = 'order_rate'
  const after = random.between(500, 2500)
  if (random.chance(0.15)) {
    await shop.wishes.make({ kind, id, call: 'setKey', asked: { after } }, async () => {
      await shop.redis.set(`${shop.prefix}${kind}:${id}`, '1', 'PX', after)
      return {}
    })
    return
  }
  if (!(await shop.acts.do({ kind, id, call: 'schedule', after }))) return
  const { feature } = { feature: factsOf(kind).features[0] }
  const own = feature && { feature }
  fate(random, [
    [8, () => shop.later(random.between(0, after), { kind, id, call: 'cancel', ...own })],
    [8, () => shop.later(shop.near(after, random), { kind, id, call: 'extend', by: random.between(200, 1500), ...own })],
    [8, () => shop.later(shop.near(after, random), { kind, id, call: 'write', from: 20, to: GONE })],
  ])
}

export const ORDERS: Played[] = [
  { play: unpaid, orders: 40, share: 34 },
  { play: quotes, orders: 20, share: 11 },
  { play: confirmations, orders: 6, share: 9 },
  { play: packing, orders: 20, share: 14 },
  { play: ratings, orders: 5, share: 3 },
]
