import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

describe('held', () => {
  it('lets an order be settled whose dispute is over', () => {
    const story = new Story()
    story.create('dispute', '1')
    story.set('dispute', '1', { disputeOpen: true })
    story.set('dispute', '1', { disputeOpen: false })
    story.settle('dispute', '1')
    assertFine(story)
  })

  it('finds an order that was settled while its dispute was open', () => {
    const story = new Story()
    story.create('dispute', '1')
    story.set('dispute', '1', { disputeOpen: true })
    story.settle('dispute', '1')
    assertFound(story, 'held', /while its pause held/)
  })

  it('finds an order that was settled although a call had paused it', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule')
    story.call('confirm', '1', 'pause')
    story.settle('confirm', '1')
    assertFound(story, 'held', /although it was paused/)
  })
})
