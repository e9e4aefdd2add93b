// Rentals are settled as instances, with the model's hooks, are paused while they are disputed (by the sweep: no trigger helps), and may be
// extended by so much in all. Claims are reminded of.

import { AFTER_MS } from '../../rules.js'
import type { Act } from '../acts.js'
import { fate, type Played, rows, type Scene } from '../shop.js'

const rentals: Scene = async (shop, random) => {
  const kind = 'rental_end'
  const ids = await shop.create(
    kind,
    rows(5, () => ({ status: 'out' })),
  )
  const left = AFTER_MS[kind]
  for (const id of ids ?? []) {
    const act = (ms: number, deed: object) => shop.later(ms, { kind, id, ...deed } as Act)
    const extend = () => ({ call: 'extend', by: random.between(500, 2500) })
    const disputed = (ms: number) => {
      const call = random.chance(0.5) ? 'rawSql' : 'write'
      act(ms, { call, set: { disputed: true }, feature: 'declaredPause' })
      act(ms + random.between(500, 4000), { call, set: { disputed: false }, feature: 'declaredPause' })
    }
    fate(random, [
      [10, () => disputed(random.between(0, left))],
      [5, () => disputed(shop.near(left, random))],
      [15, () => rows(3, () => act(random.between(0, left), extend()))],
      [6, () => act(shop.near(left, random), { call: 'write', from: 'out', to: 'lost' })],
      [4, () => act(random.between(0, left), { call: 'cancel', feature: 'auto' })],
      [4, () => act(shop.near(left, random), extend())],
    ])
  }
  if (ids) shop.look(kind, ids, left, random)
  return ids !== undefined
}

const claims: Scene = async (shop, random) => {
  const kind = 'rental_claim'
  const ids = await shop.create(
    kind,
    rows(6, () => ({ status: 'claimed' })),
  )
  await Promise.all(
    (ids ?? []).map(async (id) => {
      const after = random.between(1800, 4000)
      if (!(await shop.acts.do({ kind, id, call: 'schedule', after, feature: 'reminders' }))) return
      const act = (ms: number, deed: object) => shop.later(ms, { kind, id, feature: 'reminders', ...deed } as Act)
      const atReminder = shop.near(after - 1500, random)
      const leave = { call: 'write', from: 'claimed', to: 'used', set: { claimBy: null } }
      fate(random, [
        [8, () => act(atReminder, { call: 'extend', by: random.between(500, 2500) })],
        [8, () => act(atReminder, { call: 'cancel' })],
        [8, () => act(atReminder, leave)],
        [8, () => act(random.between(0, after), { call: 'schedule', after: random.between(1600, 3000) })],
        [8, () => act(shop.near(after, random), leave)],
      ])
    }),
  )
  return ids !== undefined
}

export const RENTALS: Played[] = [
  { play: rentals, orders: 5, share: 4 },
  { play: claims, orders: 6, share: 4 },
]
