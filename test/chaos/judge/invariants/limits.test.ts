import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function extendedTwice(): Story {
  const story = new Story()
  story.create('confirm', '1')
  story.call('confirm', '1', 'schedule')
  story.call('confirm', '1', 'extend', { by: 100 })
  story.call('confirm', '1', 'extend', { by: 100 })
  return story
}

describe('limits', () => {
  it('lets an order be extended as often as its rule allows, and again once it has a new deadline', () => {
    const story = extendedTwice()
    story.call('confirm', '1', 'extend', { by: 100 }, { answer: 'refused', code: 'EXTENSION_LIMIT' })
    story.call('confirm', '1', 'schedule')
    story.call('confirm', '1', 'extend', { by: 100 })
    assertFine(story)
  })

  it('finds one extension too many', () => {
    const story = extendedTwice()
    story.call('confirm', '1', 'extend', { by: 100 }, { process: 'shop 2' })
    assertFound(story, 'limits', /extended 3, of 2/)
  })

  it('finds an extension that overwrote the count of another', () => {
    const story = extendedTwice()
    story.call('confirm', '1', 'extend', { by: 100 }, { process: 'shop 2' })
    const last = story.changes.at(-1)!
    last.to!.confirmExtended = 2
    last.from!.confirmExtended = 1
    assertFound(story, 'limits', /extended 3, of 2/)
    assertFound(story, 'continuous', /confirmExtended changed/)
  })
})
