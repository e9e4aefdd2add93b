// Coupons: without a deadline, until the sweep gives them one; too many at once, so that the brake stops the rule; overdue for so long that they
// are stale; and some on which the rule fails until a person has mended them. The shop chooses their ids.

import { AFTER_MS } from '../../rules.js'
import type { Act } from '../acts.js'
import { fate, type Played, rows, type Scene, type Shop } from '../shop.js'

const STALE_BY_MS = 900_000
/** More than the brake lets pass, at one instant. */
const SURGE = 100
/** After these the rule has failed for the last time. */
const MENDED_AFTER_MS = 5000
const MENDED_AGAIN_MS = 10_000
const MENDED_AT_ONCE = 20

const newId = (shop: Shop) => `c-${shop.wishes.number()}`

const issued: Scene = async (shop, random) => {
  const kind = 'coupon_expire'
  const ids = await shop.create(
    kind,
    rows(8, () => ({ id: newId(shop), status: 'issued', issuedAt: new Date(Date.now() - random.between(0, 1500)) })),
  )
  const left = AFTER_MS[kind]
  for (const id of ids ?? []) {
    const act = (ms: number, deed: object) => shop.later(ms, { kind, id, feature: 'backfill', ...deed } as Act)
    fate(random, [
      [8, () => act(random.between(0, left), { call: 'write', from: 'issued', to: 'used', set: { expiresAt: null } })],
      [8, () => act(random.between(0, left), { call: 'cancel' })],
      [6, () => act(random.between(0, left), { call: 'schedule', after: random.between(300, 2000) })],
      [6, () => act(random.between(0, left), { call: 'extend', by: random.between(300, 1500) })],
    ])
  }
  if (ids) shop.look(kind, ids, left, random)
  return ids !== undefined
}

const surge: Scene = async (shop) => {
  const voidAt = new Date(Date.now() + AFTER_MS.coupon_void)
  return (
    (await shop.create(
      'coupon_void',
      rows(SURGE, () => ({ id: newId(shop), status: 'suspect', voidAt })),
    )) !== undefined
  )
}

const old: Scene = async (shop, random) => {
  const kind = 'coupon_purge'
  const purgeAt = (i: number) => new Date(Date.now() + (i === 0 ? 1000 : -STALE_BY_MS))
  const ids = await shop.create(
    kind,
    rows(4, (i) => ({ id: newId(shop), status: 'old', purgeAt: purgeAt(i) })),
  )
  // Asked for: a deadline of now.
  for (const id of (ids ?? []).slice(1))
    fate(random, [[30, () => shop.later(random.between(0, 4000), { kind, id, call: 'schedule', after: 500 })]])
  return ids !== undefined
}

const bills: Scene = async (shop) => {
  const kind = 'coupon_bill'
  const billAt = () => new Date(Date.now() + AFTER_MS[kind])
  const all = rows(5, (i) => ({ id: newId(shop), status: 'billed', billAt: billAt(), fails: i === 0 }))
  const ids = await shop.create(kind, all)
  for (const { id, fails } of all) if (fails) shop.agenda.later(MENDED_AFTER_MS, () => mend(shop, id))
  return ids !== undefined
}

/** What `where` holds back is settled once it holds. */
const gifts: Scene = async (shop, random) => {
  const kind = 'coupon_gift'
  const all = rows(10, (i) => ({ id: newId(shop), status: 'gift', issuedAt: new Date(), fails: i < 3 }))
  const ids = await shop.create(kind, all)
  for (const { id, fails } of all) {
    const act = (ms: number, deed: object) => shop.later(ms, { kind, id, feature: 'where', ...deed } as Act)
    const call = random.chance(0.5) ? 'rawSql' : 'write'
    if (fails) act(shop.near(random.between(0, 2 * AFTER_MS[kind]), random), { call, set: { fails: false } })
    else fate(random, [[15, () => act(shop.near(AFTER_MS[kind], random), { call, from: 'gift', set: { fails: true } })]])
  }
  return ids !== undefined
}

/** Some are outside of the scope that the rule is given, and come into it or leave it; some are outside of the model's default scope. */
const lapses: Scene = async (shop, random) => {
  const kind = 'coupon_lapse'
  const lapseAt = new Date(Date.now() + AFTER_MS[kind])
  const all = rows(8, (i) => ({ id: newId(shop), status: 'lapsing', lapseAt, byPost: i < 5, hidden: i % 3 === 0 }))
  const ids = await shop.create(kind, all)
  for (const { id, byPost } of all) {
    const act = (ms: number, deed: object) => shop.later(ms, { kind, id, feature: 'scope', ...deed } as Act)
    const call = random.chance(0.7) ? 'rawSql' : 'write'
    const left = AFTER_MS[kind]
    fate(random, [
      [20, () => act(shop.near(left, random), { call, set: { byPost: !byPost } })],
      [10, () => act(random.between(0, left), { call, set: { byPost: !byPost } })],
      [10, () => act(random.between(0, left), { call: 'schedule', after: random.between(300, 2000) })],
      [10, () => act(shop.near(left, random), { call: 'extend', by: random.between(300, 1500) })],
    ])
  }
  if (ids) shop.look(kind, ids, AFTER_MS[kind], random)
  return ids !== undefined
}

/** Settled by nobody: the rule only says what it would do. */
const trials: Scene = async (shop, random) => {
  const kind = 'coupon_trial'
  const trialAt = new Date(Date.now() + AFTER_MS[kind])
  const ids = await shop.create(
    kind,
    rows(4, () => ({ id: newId(shop), status: 'trial', trialAt })),
  )
  for (const id of ids ?? []) {
    const act = (ms: number, deed: object) => shop.later(ms, { kind, id, feature: 'dryRun', ...deed } as Act)
    fate(random, [
      [15, () => act(shop.near(AFTER_MS[kind], random), { call: 'extend', by: random.between(300, 1500) })],
      [10, () => act(shop.near(AFTER_MS[kind], random), { call: 'cancel' })],
      [10, () => act(random.between(0, 2 * AFTER_MS[kind]), { call: 'write', from: 'trial', to: 'used' })],
      [10, () => act(random.between(AFTER_MS[kind], 4000), { call: 'schedule', after: 500 })],
    ])
  }
  return ids !== undefined
}

async function mend(shop: Shop, id: string): Promise<void> {
  const kind = 'coupon_bill'
  await shop.acts.do({ kind, id, call: 'write', set: { fails: false }, feature: 'dead' })
  await shop.acts.do({ kind, id, call: 'retry' })
}

/**
 * Puts its dead letters back, and mends what still fails, until nothing of it is left to settle.
 * @param isOwn whether this process looks after the coupon
 */
export async function settleBills(shop: Shop, withinMs: number, isOwn: (id: string) => boolean): Promise<void> {
  const due = `SELECT id FROM coupons WHERE status = 'billed' AND "billAt" < clock_timestamp()`
  const mendedAt = new Map<string, number>()
  await untilNone(shop, withinMs, due, `(fails OR "billAt" < clock_timestamp() - interval '15 s')`, async (ids) => {
    const isLongAgo = (id: string) => performance.now() - (mendedAt.get(id) ?? Number.NEGATIVE_INFINITY) > MENDED_AGAIN_MS
    for (const id of ids.filter((each) => isOwn(each) && isLongAgo(each)).slice(0, MENDED_AT_ONCE)) {
      mendedAt.set(id, performance.now())
      await mend(shop, id)
    }
  })
}

/** Releases the brake until nothing is held. */
export async function releaseTheRest(shop: Shop, withinMs: number): Promise<void> {
  await untilNone(shop, withinMs, `SELECT id FROM coupons WHERE status = 'suspect' AND "voidAt" < clock_timestamp()`, 'TRUE', () =>
    release(shop),
  )
}

export async function release(shop: Shop): Promise<void> {
  await shop.wishes.make({ kind: 'coupon_void', id: null, call: 'release' }, async () => ({
    was: await shop.timers.release('coupon_void'),
  }))
}

/** @param among of those that the query finds, what has to be acted upon */
async function untilNone(shop: Shop, withinMs: number, sql: string, among: string, act: (ids: string[]) => Promise<void>): Promise<void> {
  const limit = performance.now() + withinMs
  const ask = async (text: string): Promise<string[] | undefined> => {
    const [found] = await shop.sequelize.query(text).catch(() => [undefined])
    return (found as { id: string }[] | undefined)?.map(({ id }) => id)
  }
  while (performance.now() < limit && (await ask(sql))?.length !== 0) {
    const ids = await ask(`${sql} AND ${among}`)
    if (ids && ids.length > 0) await act(ids)
    await new Promise((resolve) => setTimeout(resolve, 1500))
  }
}

export const COUPONS: Played[] = [
  { play: issued, orders: 8, share: 6 },
  { play: surge, orders: SURGE, share: 2 },
  { play: old, orders: 4, share: 1 },
  { play: bills, orders: 5, share: 2 },
  { play: gifts, orders: 10, share: 3 },
  { play: lapses, orders: 8, share: 2 },
  { play: trials, orders: 4, share: 1 },
]
