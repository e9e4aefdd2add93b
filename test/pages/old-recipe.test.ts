// The old recipe beside the shop, on twins of the same orders: it is late, it loses, it does things twice, all by itself; the shop's own orders
// settle meanwhile.

import assert from 'node:assert/strict'
import { waitUntil } from '../support/waiting.js'
import { type Demo, openDemo } from './demo.js'

describe("the old recipe on the example shop's orders", function () {
  this.timeout(90_000)
  let demo: Demo

  before(async () => {
    demo = await openDemo({ payAfter: '3s' })
  })
  after(() => demo?.close())

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
    const visitor = await fetch(demo.address)
    const cookie = [...visitor.headers.getSetCookie().map((one) => one.split(';')[0]), 'basket=ruby'].join('; ')
    const checkOut = () => fetch(`${demo.address}/checkout`, { method: 'POST', headers: { cookie }, redirect: 'manual' })
    for (const { status } of await Promise.all(Array.from({ length: count }, checkOut))) assert.equal(status, 303)
    const all = done + pending + count
    await waitUntil(async () => {
      const { old } = await demo.figures()
      return old.done + old.pending === all
    })
  }

  it('does an order twice where two processes listen', async () => {
    await demo.press('old/2')
    await place(3)
    await waitUntil(async () => (await demo.figures()).old.twice > 0, { within: 40_000 })
  })

  it('loses what expires while its listener is cut', async () => {
    await demo.press('old/1')
    await place(10)
    const { pending } = (await demo.figures()).old
    assert.ok(pending > 0, 'they expired before the cut')
    await demo.press('cut')
    await waitUntil(async () => (await demo.figures()).old.overdue > 0, { within: 40_000 })
    const { old } = await demo.figures()
    assert.ok(old.latest > 5_000, `${old.latest} ms`)
    await place(1) // it hears again, and knows nothing of those
    await waitUntil(async () => (await demo.figures()).old.done > old.done, { within: 40_000 })
    assert.ok((await demo.figures()).old.overdue >= old.overdue)
  })

  it('loses what Redis forgets', async () => {
    await demo.press('old/1')
    await place(3)
    await demo.press('flush')
    await waitUntil(async () => (await demo.figures()).old.overdue > 0, { within: 40_000 })
  })

  it('is late by more than a second where Redis has many other keys', async () => {
    await demo.press('foreign')
    await demo.press('old/1')
    await place(5)
    await waitUntil(async () => (await demo.figures()).old.latest > 1_000, { within: 40_000 })
    await demo.press('flush') // takes the foreign keys away
  })
})
