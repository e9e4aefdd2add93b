import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

describe('settled-once', () => {
  it('lets an order be settled again once it came back with a deadline', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule')
    story.settle('confirm', '1')
    story.set('confirm', '1', { status: 4 })
    story.call('confirm', '1', 'schedule')
    story.settle('confirm', '1')
    assertFine(story)
  })

  it('finds two settlements with nothing between them', () => {
    const story = new Story()
    story.create('pay', '1')
    const first = story.settle('pay', '1')
    story.change('pay', '1', first.to, 'worker 2').from = first.from
    assertFound(story, 'settled-once', /twice/)
  })

  it('finds that an order which came back was settled by its old deadline', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule')
    const first = story.settle('confirm', '1')
    story.change('confirm', '1', { ...first.from!, status: 6 }, 'worker 1')
    const second = story.settle('confirm', '1')
    second.from = first.from
    assertFound(story, 'settled-once', /twice/)
  })
})
