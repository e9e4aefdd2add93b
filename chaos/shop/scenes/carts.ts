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
    /** Deleted, and restored a while later. */
    const softlyRemoved = (ms: number) => {
      act(ms, { call: 'rawSql', set: { deletedAt: new Date() } })
      if (random.chance(0.7)) act(ms + random.between(200, 3000), { call: 'rawSql', set: { deletedAt: null } })
    }
    fate(random, [
      [12, () => act(shop.near(left, random), { call: random.chance(0.5) ? 'rawSql' : 'write', set: { isPaid: true } })],
      [4, () => act(random.between(0, left), { call: 'remove' })],
      [5, () => act(random.between(0, left), { call: 'schedule' })],
      [6, () => softlyRemoved(random.chance(0.5) ? shop.near(left, random) : random.between(0, left))],
    ])
  }
  if (ids) shop.look(kind, ids, left, random)
  return ids !== undefined
}

export const CARTS: Played[] = [{ play: carts, orders: 12, share: 6 }]
