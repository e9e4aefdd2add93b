import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

describe('stale', () => {
  it('lets an order be settled that is not overdue for too long', () => {
    const story = new Story()
    story.create('pay', '1')
    story.wait(50_000).settle('pay', '1')
    assertFine(story)
  })

  it('finds one that was settled although it was stale', () => {
    const story = new Story()
    story.create('pay', '1')
    story.wait(80_000).settle('pay', '1')
    assertFound(story, 'stale', /ms after its deadline/)
  })
})
