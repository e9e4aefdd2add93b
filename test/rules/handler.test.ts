import assert from 'node:assert/strict'
import { type HandlerWork, startExpiryWorker } from '../../lib/index.js'
import { makeTimers, openShop, watched } from '../support/shop.js'
import { inTurns } from '../support/turns.js'
import { waitUntil } from '../support/waiting.js'

describe('a plain function as a rule', () => {
  it('is called with its kind and the ids that are due, as text, for scheduled timers and external keys', async () => {
    const calls: HandlerWork[] = []
    const shop = await openShop(() => ({ order_other: (work: HandlerWork) => void calls.push(work) }))
    const worker = await shop.worker()
    await shop.timers.schedule('order_other', 34, { after: 30 })
    await shop.timers.schedule('order_other', 'A-7', { after: 30 })
    await shop.redis.client.set(shop.key('order_other:theirs'), '1', 'PX', 30)
    await waitUntil(() => worker.settled.length === 3)
    assert.deepEqual(calls.flatMap(({ ids }) => ids).sort(), ['34', 'A-7', 'theirs'])
    for (const { kind, signal } of calls) assert.deepEqual([kind, signal.aborted], ['order_other', false])
    const ours = worker.settled.filter(({ via }) => via === 'alarm')
    assert.deepEqual(ours.map(({ id }) => id).sort(), ['34', 'A-7'])
    for (const { deadline, latenessMs } of ours)
      assert.ok(typeof deadline === 'number' && (latenessMs as number) >= 0, `late by ${latenessMs}`)
    assert.deepEqual(worker.settled.find(({ via }) => via === 'event')?.deadline, null)
    await shop.close()
  })

  it('is called in batches of a hundred at most', async () => {
    const sizes: number[] = []
    const shop = await openShop(() => ({ order_other: ({ ids }: HandlerWork) => void sizes.push(ids.length) }))
    const ids = Array.from({ length: 250 }, (_, i) => i + 1)
    const at = Date.now() - 1
    await inTurns(ids, (id) => shop.timers.schedule('order_other', id, { at }))
    const worker = await shop.worker()
    await waitUntil(() => worker.settled.length === 250)
    assert.ok(Math.max(...sizes) <= 100, String(sizes))
    assert.equal(new Set(worker.settled.map(({ id }) => id)).size, 250)
    await shop.close()
  })

  it('is called for the same id again when that is scheduled or set again', async () => {
    const calls: string[] = []
    const shop = await openShop(() => ({ order_other: ({ ids }: HandlerWork) => void calls.push(...ids) }))
    const worker = await shop.worker()
    for (const times of [1, 2, 3]) {
      await shop.timers.schedule('order_other', 34, { after: 10 })
      await waitUntil(() => worker.settled.length === times)
    }
    assert.deepEqual(calls, ['34', '34', '34'])
    await shop.close()
  })

  it('is called each time that an external key for the same id expires, a second apart', async () => {
    const calls: string[] = []
    const shop = await openShop(() => ({ order_other: ({ ids }: HandlerWork) => void calls.push(...ids) }))
    await shop.worker()
    for (const times of [1, 2, 3]) {
      await shop.redis.client.setex(shop.key('order_other:34'), 1, '1')
      await waitUntil(() => calls.length === times, { within: 3000 })
    }
    assert.deepEqual(calls, ['34', '34', '34'])
    await shop.close()
  })

  it('is called once for an external key, also where another worker has time to ask about its event only seconds later', async () => {
    const calls: string[] = []
    const note = ({ ids }: HandlerWork) => void calls.push(...ids)
    const shop = await openShop(() => ({ order_other: note }))
    let goOn = () => {}
    const goesOn = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const isBusy = (work: HandlerWork) => {
      note(work)
      return goesOn
    }
    const others = makeTimers({ order_other: isBusy }, { redis: shop.redis.url, prefix: shop.redis.prefix })
    const busy = watched(startExpiryWorker(others, { concurrency: 1, fallback: false }))
    await busy.ready
    const expire = async (id: string, afterMs: number) => {
      await shop.redis.client.set(shop.key(`order_other:${id}`), '1', 'PX', afterMs)
      await waitUntil(() => calls.includes(id))
    }
    await expire('first', 10)
    const worker = await shop.worker({ fallback: false })
    await expire('second', 10)
    await expire('third', 2_000) // its tombstone is over by then
    await worker.stop()
    goOn()
    await expire('last', 10) // the busy worker asks about the others before
    assert.deepEqual(calls, ['first', 'second', 'third', 'last'])
    await busy.stop()
    await others.close()
    await shop.close()
  })
})
