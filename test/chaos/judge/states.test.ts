import assert from 'node:assert/strict'
import { statesWithin } from '../../../chaos/judge/states.js'
import { BEGIN, Story } from './story.js'

/** Notes 1, 2 and 3, half a minute apart. */
function noted() {
  const story = new Story()
  for (const note of [1, 2, 3]) story.wait(30_000).change('pay', '1', { note }, 'shop 1')
  return story.changes
}

const notes = (fromMs: number, toMs: number) => statesWithin(noted(), BEGIN + fromMs, BEGIN + toMs).map((row) => row?.note ?? null)

describe('the states that a call may have seen', () => {
  it('are those that stood while it ran', () => {
    assert.deepEqual(notes(0, 10_000), [null])
    assert.deepEqual(notes(40_000, 50_000), [1])
    assert.deepEqual(notes(50_000, 70_000), [1, 2])
    assert.deepEqual(notes(200_000, 300_000), [3])
  })

  it('are also the one before, as long as the change may not have been committed', () => {
    assert.deepEqual(notes(62_000, 63_000), [1, 2])
    assert.deepEqual(notes(70_000, 71_000), [2])
  })

  it('are not the one before any more once another transaction has changed the row again', () => {
    const story = new Story()
    for (const note of [1, 2, 3]) story.wait(1_000).change('pay', '1', { note }, 'shop 1')
    const seen = statesWithin(story.changes, story.now + 500, story.now + 600)
    assert.deepEqual(
      seen.map((row) => row?.note),
      [2, 3],
    )
  })
})
