import assert from 'node:assert/strict'
import { Loop } from '../lib/loop.js'
import { Distribution, Distributions, Tally } from '../lib/meters.js'

describe('a tally', () => {
  it('adds up by labels, and says 0 of what was never counted', () => {
    const tally = new Tally()
    tally.add('order_pay alarm')
    tally.add('order_pay alarm', 3)
    tally.add('order_pay sweep')
    assert.deepEqual(
      [...tally],
      [
        ['order_pay alarm', 4],
        ['order_pay sweep', 1],
      ],
    )
    assert.equal(tally.of('order_pay event'), 0)
  })
})

describe('a distribution', () => {
  it('counts a value at the first bound that is not below it, and above all bounds in a bucket of its own', () => {
    const distribution = new Distribution([1, 10])
    for (const value of [0, 1, 1.5, 10, 11]) distribution.add(value)
    assert.deepEqual([...distribution.counts], [2, 2, 1])
    assert.equal(distribution.sum, 23.5)
  })

  it('takes what was counted elsewhere, by labels', () => {
    const all = new Distributions([1, 10])
    all.of('a').addAll([1, 2, 3], 40)
    all.of('a').addAll([1, 0, 0], 1)
    assert.deepEqual([...all.of('a').counts, all.of('a').sum], [2, 2, 3, 41])
    assert.deepEqual([...all.of('b').counts], [0, 0, 0])
  })
})

describe('a loop', () => {
  it('is silent since it last turned, and not while it rests', async () => {
    const loop = new Loop('alarm order_pay')
    assert.equal(loop.silentMs, 0)
    loop.turned()
    await new Promise(setImmediate)
    assert.ok(loop.silentMs > 0)
    loop.rests()
    assert.equal(loop.silentMs, 0)
  })
})
