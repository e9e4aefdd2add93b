import { Story } from '../story.js'
import { assertFound } from '../verdicts.js'

/** An order that came into `from` without the trigger. */
function undated(): Story {
  const story = new Story()
  story.create('dispute', '1', { status: 9 })
  const { to } = story.changes[0]!
  story.change('dispute', '1', { ...to!, status: 1 }, 'shop 1', { wish: story.set('dispute', '1', {}, { answer: 'unknown' }).n })
  return story
}

describe('backfilled', () => {
  it('lets a sweep give an order its deadline', () => {
    const story = undated()
    story.sweep('dispute', '1')
    story.settle('dispute', '1')
    assertFound(story, 'entering', /without a deadline/) // as it should: only the trigger was left out
  })

  it('finds an order that no sweep gave a deadline', () => {
    assertFound(undated().wait(20_000), 'backfilled', /no sweep gave it a deadline/)
  })

  it('leaves a sweep its time', () => {
    assertFound(undated(), 'entering', /without a deadline/)
  })

  it('finds a backfilled deadline that does not count from the sweep', () => {
    const story = undated()
    story.sweep('dispute', '1')
    story.changes.at(-1)!.to!.dueAt = story.now + 100_000
    assertFound(story, 'explained', /worker 2 changed it/)
  })
})
