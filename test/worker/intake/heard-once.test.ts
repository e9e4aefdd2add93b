import assert from 'node:assert/strict'
import { HeardOnce } from '../../../lib/worker/intake/heard-once.js'

const NODES = ['a', 'b', 'c']

describe('a message that each node of a cluster publishes', () => {
  const heard = () => {
    const once = new HeardOnce()
    return (message: string, node: string) => once.heeds(message, node, NODES)
  }

  it('is heeded once, from whichever node it comes first', () => {
    const heeds = heard()
    assert.deepEqual(
      ['b', 'a', 'c'].map((node) => heeds('wake', node)),
      [true, false, false],
    )
    assert.deepEqual(
      ['c', 'b', 'a'].map((node) => heeds('wake', node)),
      [true, false, false],
    )
  })

  it('is heeded as often as it is published, also where one node is behind', () => {
    const heeds = heard()
    assert.deepEqual([heeds('wake', 'a'), heeds('wake', 'a'), heeds('wake', 'a')], [true, true, true])
    assert.deepEqual([heeds('wake', 'b'), heeds('wake', 'b'), heeds('wake', 'b'), heeds('wake', 'b')], [false, false, false, true])
    assert.equal(heeds('another', 'b'), true)
  })

  it('is heeded from the others while one node says nothing', () => {
    const heeds = heard()
    for (let i = 0; i < 50; i += 1)
      assert.deepEqual(
        ['b', 'c'].map((node) => heeds('wake', node)),
        [true, false],
      )
  })
})
