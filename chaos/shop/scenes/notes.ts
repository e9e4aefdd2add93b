// Notes have no rows: a plain function gets their ids. Some of their keys are set by another service.

import type { Act } from '../acts.js'
import { fate, type Played, rows, type Scene } from '../shop.js'

const notes: Scene = async (shop, random) => {
  const kind = 'note'
  const answers = await Promise.all(
    rows(6, async () => {
      const id = `n-${shop.wishes.number()}`
      const after = random.between(500, 2500)
      if (random.chance(0.15)) {
        return shop.wishes.make({ kind, id, call: 'setKey', asked: { after } }, async () => {
          await shop.redis.set(`${shop.prefix}${kind}:${id}`, '1', 'PX', after)
          return {}
        })
      }
      const got = await shop.acts.do({ kind, id, call: 'schedule', after })
      const act = (ms: number, deed: object) => shop.later(ms, { kind, id, feature: 'handler', ...deed } as Act)
      fate(random, [
        [8, () => act(random.between(0, after), { call: 'cancel' })],
        [6, () => act(shop.near(after, random), { call: 'cancel' })],
        [8, () => act(random.between(0, after), { call: 'extend', by: random.between(200, 1500) })],
      ])
      return got
    }),
  )
  return answers.some((got) => got !== undefined)
}

export const NOTES: Played[] = [{ play: notes, orders: 6, share: 3 }]
