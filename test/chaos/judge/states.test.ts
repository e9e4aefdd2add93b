import assert from 'node:assert/strict'
import { statesWithin } from '../../../chaos/judge/states.js'
import { BEGIN, Story } from './story.js'

/** Notes 1, 2 and 3, two minutes apart. */
function noted() {
  const story = new Story()
  for (const note of [1, 2, 3]) story.wait(120_000).change('pay', '1', { note }, 'shop 1')
  return story
}

const notes = (fromMs: number, toMs: number) => statesWithin(noted(), BEGIN + fromMs, BEGIN + toMs).map((row) => row?.note ?? null)

describe('the states that a call may have seen', () => {
  it('are those that stood while it ran', () => {
    assert.deepEqual(notes(0, 10_000), [null])
    assert.deepEqual(notes(160_000, 200_000), [1])
    assert.deepEqual(notes(200_000, 280_000), [1, 2])
    assert.deepEqual(notes(800_000, 900_000), [3])
  })

  it('are also the one before, as long as the change may not have been committed', () => {
    assert.deepEqual(notes(250_000, 251_000), [1, 2])
    assert.deepEqual(notes(260_000, 261_000), [2])
  })

  it('are not the one before any more once another transaction has changed the row again', () => {
    const story = new Story()
    for (const note of [1, 2, 3]) story.wait(1_000).change('pay', '1', { note }, 'shop 1')
    const seen = statesWithin(story, story.now + 500, story.now + 600)
    assert.deepEqual(
      seen.map((row) => row?.note),
      [2, 3],
    )
  })

  it('are not the one before any more once the shop was told that its write is done', () => {
    for (const answer of ['ok', 'unknown'] as const) {
      const story = new Story()
      story.create('pay', '1', { note: 1 })
      story.wait(60_000).set('pay', '1', { note: 2 }, { answer, isCarriedOut: true })
      const seen = statesWithin(story, story.now + 500, story.now + 600)
      assert.deepEqual(
        seen.map((row) => row?.note),
        answer === 'ok' ? [2] : [1, 2],
      )
    }
  })
})
