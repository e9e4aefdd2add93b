import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function settled(): Story {
  const story = new Story()
  story.create('confirm', '1')
  story.call('confirm', '1', 'schedule')
  story.settle('confirm', '1')
  return story
}

describe('history', () => {
  it('lets each settlement have its row', () => assertFine(settled()))

  it('finds a settlement without a row', () => {
    const story = settled()
    story.recorded.length = 0
    assertFound(story, 'history', /the history has no row/)
  })

  it('finds two rows for one settlement', () => {
    const story = settled()
    story.recorded.push({ ...story.recorded[0]! })
    assertFound(story, 'history', /nothing was settled/)
  })

  for (const wrong of [{ deadline: 1 }, { fromStatus: '9' }, { toStatus: '9' }]) {
    it(`finds a row with the wrong ${Object.keys(wrong)[0]}`, () => {
      const story = settled()
      Object.assign(story.recorded[0]!, wrong)
      assertFound(story, 'history', /the history has no row/)
    })
  }
})
