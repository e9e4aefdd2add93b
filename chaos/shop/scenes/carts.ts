// Carts have no status: an effect over the unpaid ones deletes them softly.

import { AFTER_MS } from '../../rules.js'
import type { Act } from '../acts.js'
import { fate, type Played, rows, type Scene } from '../shop.js'

const carts: Scene = async (shop, random) => {
  const kind = 'cart_release'
  const ids = await shop.create(
    kind,
    rows(12, () => ({ isPaid: false })),
  )
  const left = AFTER_MS[kind]
  for (const id of ids ?? []) {
    const act = (ms: number, deed: object) => shop.later(ms, { kind, id, ...deed } as Act)
    fate(random, [
      [12, () => act(shop.near(left, random), { call: random.chance(0.5) ? 'rawSql' : 'write', set: { isPaid: true } })],
      [4, () => act(random.between(0, left), { call: 'remove' })],
      [5, () => act(random.between(0, left), { call: 'schedule' })],
    ])
  }
  return ids !== undefined
}

export const CARTS: Played[] = [{ play: carts, orders: 12, share: 6 }]
