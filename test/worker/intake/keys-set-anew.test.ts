// Keys that another service sets again about an id that was acted on a moment ago. Nothing but their event tells of them where no sweep covers the rule.

import assert from 'node:assert/strict'
import { type HandlerWork, transition } from '../../../lib/index.js'
import { openShop } from '../../support/shop.js'
import { waitUntil } from '../../support/waiting.js'

/** A handler, with the ids of each call; `whenCalled` is awaited within each. */
async function openHandled(whenCalled: (times: number) => unknown = () => {}) {
  const calls: string[] = []
  const shop = await openShop(() => ({
    order_other: async ({ ids }: HandlerWork) => {
      calls.push(...ids)
      await whenCalled(calls.length)
    },
  }))
  const worker = await shop.worker({ fallback: false })
  await waitUntil(() => worker.health().redis?.events)
  const setForSeconds = (id: string, seconds: number) => shop.redis.client.setex(shop.key(`order_other:${id}`), seconds, '1')
  return { shop, calls, setForSeconds }
}

describe('a key that another service sets anew', () => {
  it('is acted on although the handler still works on the one before', async () => {
    const gate = new AbortController()
    const opened = new Promise((resolve) => gate.signal.addEventListener('abort', resolve))
    const { shop, calls, setForSeconds } = await openHandled((times) => times === 1 && opened)
    await setForSeconds('5', 1)
    await waitUntil(() => calls.length === 1)
    await setForSeconds('5', 1)
    await waitUntil(() => calls.length === 2, { within: 10_000 })
    gate.abort()
    assert.deepEqual(calls, ['5', '5'])
    await shop.close()
  })

  it('is acted on although a timer of our own was carried out, or cancelled, a moment ago', async () => {
    const { shop, calls, setForSeconds } = await openHandled()
    await shop.timers.schedule('order_other', '7', { after: 200 })
    await shop.timers.schedule('order_other', '8', { after: '1h' })
    await waitUntil(() => calls.length === 1)
    await shop.timers.cancel('order_other', '8')
    await setForSeconds('7', 1)
    await setForSeconds('8', 1)
    await waitUntil(() => calls.length === 3, { within: 10_000 })
    assert.deepEqual(calls.sort(), ['7', '7', '8'])
    await shop.close()
  })

  it('ends a dead letter, as a timer of our own does', async () => {
    let fails = true
    const shop = await openShop(({ Order }) => {
      const run = async () => {
        if (fails) throw new Error('no')
      }
      return { order_ship: transition(Order, { from: 2, to: 0, deadline: false, attempts: 1, run }) }
    })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events)
    const id = await shop.order({ status: 2 })
    await shop.redis.client.setex(shop.key(`order_ship:${id}`), 1, '1')
    await waitUntil(async () => (await shop.timers.dead('order_ship')).length === 1, { within: 10_000 })
    fails = false
    await shop.redis.client.setex(shop.key(`order_ship:${id}`), 1, '1')
    await waitUntil(async () => (await shop.statusOf(id)) === 0, { within: 10_000 })
    assert.deepEqual(await shop.timers.dead('order_ship'), [])
    await shop.close()
  })

  it('is acted on once by each of its expiries, also with several workers', async () => {
    const { shop, calls, setForSeconds } = await openHandled()
    const others = [await shop.worker({ fallback: false }), await shop.worker({ fallback: false })]
    for (const other of others) await waitUntil(() => other.health().redis?.events)
    const ids = Array.from({ length: 40 }, (_, i) => `${i + 1}`)
    for (let time = 1; time <= 3; time += 1) {
      await Promise.all(ids.map((id) => setForSeconds(id, 1)))
      await waitUntil(() => calls.length >= time * ids.length, { within: 10_000 })
    }
    assert.equal(calls.length, 3 * ids.length)
    await shop.close()
  })
})
