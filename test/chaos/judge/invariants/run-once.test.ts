import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function settled(): Story {
  const story = new Story()
  story.create('cart', '1')
  story.settle('cart', '1')
  return story
}

describe('run-once', () => {
  it('lets each settlement have its effect', () => assertFine(settled()))

  it('finds a settlement without its effect', () => {
    const story = settled()
    story.effects.length = 0
    assertFound(story, 'run-once', /took effect 0 times/)
  })

  it('finds an effect that is there twice', () => {
    const story = settled()
    story.effects.push(story.effects[0]!)
    assertFound(story, 'run-once', /took effect 2 times/)
  })

  it('finds an effect of a transaction that settled nothing', () => {
    const story = settled()
    story.effects.push({ ...story.effects[0]!, txid: '1' })
    assertFound(story, 'run-once', /nothing was settled/)
  })
})
