// The old recipe beside the shop, on twins of the same orders: it is late, it loses, it does things twice, all by itself; the shop's own orders
// settle meanwhile.

import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import { holdsFor, waitUntil } from '../support/waiting.js'
import { type Demo, openDemo } from './demo.js'

describe("the old recipe on the example shop's orders", function () {
  this.timeout(90_000)
  let demo: Demo
  let others: Redis

  before(async () => {
    others = new Redis(process.env.REDIS_URL as string)
    demo = await openDemo({ payAfter: '3s' })
  })
  after(async () => {
    others.disconnect()
    await demo?.close()
  })

  /** The shop settles all of its own, whatever the twins do. */
  afterEach(async () => {
    const settled = async () => {
      const { now } = await demo.figures()
      return now.settled > 0 && now.overdue === 0
    }
    await waitUntil(settled, { within: 30_000 })
    const { now } = await demo.figures()
    assert.deepEqual([now.lost, now.early, now.twice], [0, 0, 0])
  })

  /** Places so many orders, and waits until each has a twin. */
  async function place(count: number): Promise<void> {
    const { done, pending } = (await demo.figures()).old
    await checkOut(count)
    const all = done + pending + count
    await waitUntil(async () => {
      const { old } = await demo.figures()
      return old.done + old.pending === all
    })
  }

  async function checkOut(count: number): Promise<void> {
    const visitor = await fetch(demo.address)
    const cookie = [...visitor.headers.getSetCookie().map((one) => one.split(';')[0]), 'basket=ruby'].join('; ')
    const once = () => fetch(`${demo.address}/checkout`, { method: 'POST', headers: { cookie }, redirect: 'manual' })
    for (const { status } of await Promise.all(Array.from({ length: count }, once))) assert.equal(status, 303)
  }

  it('does an order twice where two processes listen', async () => {
    await demo.press('old/2')
    await place(3)
    await waitUntil(async () => (await demo.figures()).old.twice > 0, { within: 40_000 })
  })

  it('loses what expires while its listener is cut, and those of others are left alone', async () => {
    let cuts = 0
    others.on('close', () => {
      cuts += 1
    })
    await others.subscribe('news')
    await demo.press('old/1')
    const isOver = async () => {
      const { old } = await demo.figures()
      return old.overdue > 0 || old.pending === 0
    }
    // Between two cuts it may hear an event, so it has several chances to lose one.
    for (let round = 1; (await demo.figures()).old.overdue === 0; round += 1) {
      assert.ok(round <= 4, 'it lost nothing in four rounds')
      await place(10)
      await demo.press('cut')
      await waitUntil(isOver, { within: 40_000 })
    }
    assert.equal(cuts, 0)
    await others.unsubscribe()
    const { old } = await demo.figures()
    assert.ok(old.latest > 5_000, `${old.latest} ms`)
    await place(1) // it hears again, and knows nothing of those
    await waitUntil(async () => (await demo.figures()).old.done > old.done, { within: 40_000 })
    assert.ok((await demo.figures()).old.overdue >= old.overdue)
  })

  it('loses what Redis forgets, and the keys of others are left alone', async () => {
    await others.set('of others', '1')
    await demo.press('old/1')
    await place(3)
    assert.match(await demo.said('flush'), /^Redis has lost [\d,]+ keys/)
    assert.equal(await others.del('of others'), 1)
    await waitUntil(async () => (await demo.figures()).old.overdue > 0, { within: 40_000 })
  })

  it('is late by more than a second where Redis has many other keys', async () => {
    await demo.press('foreign')
    await demo.press('old/1')
    await place(5)
    await waitUntil(async () => (await demo.figures()).old.latest > 1_000, { within: 40_000 })
    await demo.press('flush') // takes the foreign keys away
  })

  it('is off once it is switched off, also where two switched it on at once', async () => {
    await Promise.all([demo.press('old/1'), demo.press('old/2')])
    assert.ok((await demo.figures()).listening > 0)
    await demo.press('old/0')
    await checkOut(1)
    await holdsFor(1_500, async () => {
      const { old, listening } = await demo.figures()
      return listening + old.pending + old.done === 0
    })
  })
})
