import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

/** An order whose rule failed for the last time. */
function dead(id = '1'): Story {
  const story = new Story()
  story.create('confirm', '1')
  story.call('confirm', '1', 'schedule')
  story.wait(4_000).told.push({ event: 'dead', by: 'worker 1', at: story.now, kind: 'confirm', details: { id } })
  return story.wait(500)
}

describe('dead', () => {
  it('lets a dead letter be settled once it was put back, or scheduled again', () => {
    for (const call of ['retry', 'schedule'] as const) {
      const story = dead()
      story.call('confirm', '1', call)
      story.settle('confirm', '1')
      assertFine(story)
    }
  })

  it('finds a dead letter that was settled although putting it back was refused', () => {
    const story = dead()
    story.call('confirm', '1', 'retry', {}, { answer: 'refused', code: 'NO_TIMER' })
    story.settle('confirm', '1')
    assertFound(story, 'dead', /although it was a dead letter/)
  })

  it('finds a dead letter that was settled without a request, unless Redis lost it', () => {
    const story = dead()
    story.settle('confirm', '1')
    assertFound(story, 'dead', /although it was a dead letter/)
    assertFine(story, { losses: [{ beganAt: story.now - 1, endedAt: story.now }] })
  })

  it('says nothing of other orders', () => {
    const story = dead('2')
    story.settle('confirm', '1')
    assertFine(story)
  })
})
