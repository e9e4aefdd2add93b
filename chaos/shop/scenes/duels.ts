// Several processes do something to the same order at the same instant: most often at the deadline, so that the worker is one more of them.

import { trueNow } from '../../history.js'
import type { Random } from '../../random.js'
import { AFTER_MS } from '../../rules.js'
import type { Act } from '../acts.js'
import { type Played, RACE_MS, rows, type Scene, type Shop } from '../shop.js'
import { startConfirming } from './orders.js'

type Deeds = (random: Random) => object[]

const extend = (random: Random) => ({ call: 'extend', by: random.between(300, 2000) })
const schedule = (random: Random) => ({ call: 'schedule', after: random.between(300, 2500) })
const confirm = { call: 'write', from: 4, to: 5 }
const leave = { call: 'write', from: 4, to: 2, set: { confirmDueAt: null } }
const [cancel, pause, resume] = [{ call: 'cancel' }, { call: 'pause' }, { call: 'resume' }]

const OVER_CONFIRMATIONS: Deeds[] = [
  (random) => [extend(random), cancel],
  (random) => [pause, extend(random)],
  () => [pause, cancel],
  () => [pause, pause, resume],
  (random) => [schedule(random), schedule(random)],
  (random) => [schedule(random), cancel],
  (random) => rows(5, () => extend(random)),
  (random) => [confirm, extend(random)],
  () => [confirm, pause],
  (random) => [leave, schedule(random), cancel],
]

const confirmations: Scene = async (shop, random) => {
  const ids = await shop.create(
    'order_pay',
    rows(4, () => ({ status: 1 })),
    { feature: 'deadline' },
  )
  await Promise.all(
    (ids ?? []).map(async (id) => {
      const left = await startConfirming(shop, random, id)
      if (left === undefined) return
      fight(shop, random, left, { kind: 'order_confirm', id }, OVER_CONFIRMATIONS)
      // Whoever won: a pause does not last for ever.
      if (random.chance(0.7)) shop.later(left + random.between(300, 1500), { kind: 'order_confirm', id, call: 'resume' })
    }),
  )
  return ids !== undefined
}

/** Hooked and triggered orders, which a write alone starts and ends. */
const others: Scene = async (shop, random) => {
  const orders = await shop.create(
    'order_pack',
    rows(2, () => ({ status: 10 })),
  )
  for (const id of orders ?? [])
    fight(shop, random, AFTER_MS.order_pack, { kind: 'order_pack', id }, [
      (chance) => [{ call: 'write', from: 10, to: 19 }, extend(chance)],
      (chance) => [{ call: 'write', from: 10, to: 11 }, schedule(chance)],
      (chance) => [{ call: 'cancel' }, extend(chance), { call: 'write', from: 10, to: 13 }],
    ])
  const parcels = await shop.create(
    'parcel_arrive',
    rows(2, () => ({ status: 'sent' })),
    { raw: true },
  )
  for (const id of parcels ?? [])
    fight(shop, random, AFTER_MS.parcel_arrive, { kind: 'parcel_arrive', id }, [
      (chance) => [{ call: 'rawSql', from: 'sent', to: 'lost' }, extend(chance)],
      () => [{ call: 'rawSql', from: 'sent', to: 'arrived' }, { call: 'cancel' }],
      () => [
        { call: 'rawSql', set: { disputed: true } },
        { call: 'write', set: { disputed: false } },
      ],
    ])
  const rentals = await shop.create(
    'rental_end',
    rows(1, () => ({ status: 'out' })),
  )
  for (const id of rentals ?? [])
    fight(shop, random, AFTER_MS.rental_end, { kind: 'rental_end', id }, [
      (chance) => rows(4, () => extend(chance)),
      (chance) => [{ call: 'write', set: { disputed: true } }, { call: 'write', set: { disputed: false } }, extend(chance)],
    ])
  return orders !== undefined && parcels !== undefined && rentals !== undefined
}

/** Each deed by another process, as far as there are others. */
function fight(shop: Shop, random: Random, leftMs: number, about: Pick<Act, 'kind' | 'id'>, duels: readonly Deeds[]): void {
  const deeds = (random.shuffled(duels)[0] as Deeds)(random)
  const at = trueNow() + (random.chance(0.7) ? leftMs : random.between(0, leftMs))
  const others = random.shuffled(shop.peers.others)
  deeds.forEach((deed, i) => {
    const act = { ...about, ...deed } as Act
    const instant = at + random.between(-RACE_MS, RACE_MS)
    const other = others[(i - 1) % Math.max(1, others.length)]
    if (i === 0 || other === undefined) shop.later(instant - trueNow(), act)
    else shop.peers.ask(other, { act, at: instant })
  })
}

export const DUELS: Played[] = [
  { play: confirmations, orders: 4, share: 3 },
  { play: others, orders: 5, share: 2 },
]
