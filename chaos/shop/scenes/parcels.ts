// Parcels have no `auto`: the printed trigger starts and ends their timers, whoever writes. Half of it is raw SQL, half goes by Sequelize.

import { AFTER_MS } from '../../rules.js'
import type { Act } from '../acts.js'
import { fate, type Played, rows, type Scene, type Shop } from '../shop.js'

const parcels: Scene = async (shop, random) => {
  const kind = 'parcel_arrive'
  const raw = random.chance(0.5)
  const isSentAtOnce = random.chance(0.7)
  const ids = await shop.create(
    kind,
    rows(20, () => ({ status: isSentAtOnce ? 'sent' : 'ordered' })),
    { raw },
  )
  const call = random.chance(0.5) ? 'rawSql' : 'write'
  if (ids && !isSentAtOnce) await Promise.all(ids.slice(0, 4).map((id) => shop.acts.do({ kind, id, call, from: 'ordered', to: 'sent' })))
  const [arrives, closes] = [AFTER_MS[kind], AFTER_MS[kind] + AFTER_MS.parcel_close]
  for (const id of ids ?? []) {
    const first = (ms: number, deed: object) => shop.later(ms, { kind, id, ...deed } as Act)
    const second = (ms: number, deed: object) => shop.later(ms, { kind: 'parcel_close', id, ...deed } as Act)
    fate(random, [
      [6, () => first(shop.near(arrives, random), { call, from: 'sent', to: 'lost' })],
      [5, () => first(random.between(0, arrives), { call: 'extend', by: random.between(100, 1500), feature: 'trigger' })],
      [3, () => first(random.between(0, arrives), { call: 'schedule', after: random.between(300, 2000) })],
      [3, () => first(shop.near(arrives, random), { call: 'cancel', feature: 'trigger' })],
      [6, () => second(shop.near(closes, random), { call, from: 'arrived', to: 'lost' })],
      [5, () => disputed(shop, id, call, random.between(0, closes), random.between(100, 2500))],
      [4, () => disputed(shop, id, call, shop.near(closes, random), random.between(100, 2500))],
      [2, () => second(random.between(arrives, closes), { call: 'schedule', after: random.between(300, 2000) })],
    ])
  }
  if (ids) shop.look(random.chance(0.5) ? kind : 'parcel_close', ids, random.chance(0.5) ? arrives : closes, random)
  return ids !== undefined
}

/** The condition of `pause.while` begins to hold, and ends. */
function disputed(shop: Shop, id: string, call: 'write' | 'rawSql', ms: number, forMs: number): void {
  const act = { kind: 'parcel_close', id, call, feature: 'declaredPause' } as const
  shop.later(ms, { ...act, set: { disputed: true } })
  shop.later(ms + forMs, { ...act, set: { disputed: false } })
}

export const PARCELS: Played[] = [{ play: parcels, orders: 20, share: 13 }]
