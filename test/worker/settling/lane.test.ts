import assert from 'node:assert/strict'
import { Lane } from '../../../lib/worker/settling/lane.js'

describe('a lane', () => {
  it('halves its batches where the database took too long, and a larger batch that was claimed before makes none larger again', () => {
    const lane = new Lane(2, 1)
    lane.halve(1_000)
    lane.halve(2_000)
    assert.equal(lane.batch(1_000), 500)
    lane.halve(500)
    assert.equal(lane.batch(2_000), 250)
  })

  it('sends away what waits when the worker leaves, and what comes after that', async () => {
    const leaving = new AbortController()
    const lane = new Lane(1, 1)
    assert.equal(await lane.enter(leaving.signal), true)
    const waiting = lane.enter(leaving.signal)
    leaving.abort()
    assert.equal(await waiting, false)
    lane.leave()
    assert.equal(await lane.enter(leaving.signal), false)
  })

  it('lets batches grow again as the database answers', () => {
    const lane = new Lane(2, 1)
    lane.halve(1_000)
    lane.recovered(500, 1)
    assert.equal(lane.batch(1_000), 550)
    lane.recovered(100, 1)
    assert.equal(lane.batch(1_000), 550)
  })

  it("doubles the batches of the shop's code while full ones are quick, and begins again after a slow one or a failure", () => {
    const growing = { first: 100, most: 10, quickMs: 50 }
    const grown = (lane: Lane) => {
      for (const size of [100, 200, 400, 800]) lane.recovered(size, 50)
      return lane.batch(100)
    }
    const lane = new Lane(2, 0, growing)
    lane.recovered(99, 1) // not full, so it says nothing of a full one
    lane.recovered(100, 51)
    assert.equal(lane.batch(100), 100)
    assert.equal(grown(lane), 1_000)
    lane.recovered(1_000, 200)
    assert.equal(lane.batch(100), 1_000)
    lane.recovered(3, 201)
    assert.equal(lane.batch(100), 100)
    assert.equal(grown(lane), 1_000)
    lane.shrink()
    assert.equal(lane.batch(100), 100)
  })
})
