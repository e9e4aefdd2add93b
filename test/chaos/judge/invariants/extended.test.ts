import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

describe('extended', () => {
  it('lets an extended order be settled by its new deadline', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule', { after: 1_000 })
    story.call('confirm', '1', 'extend', { by: 2_000 })
    story.settle('confirm', '1')
    assertFine(story)
  })

  it('lets an extended order be settled earlier where it was scheduled again', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule', { after: 1_000 })
    story.call('confirm', '1', 'extend', { by: 9_000 })
    story.call('confirm', '1', 'schedule', { after: 500 })
    story.settle('confirm', '1')
    assertFine(story)
  })

  it('finds a settlement by the old deadline after an acknowledged extension', () => {
    const story = new Story()
    story.create('confirm', '1')
    const { got } = story.call('confirm', '1', 'schedule', { after: 1_000 })
    story.wait(500)
    const wish = story.call('confirm', '1', 'extend', { by: 2_000 }, { answer: 'refused' })
    Object.assign(wish, { answer: 'ok', got: { deadline: Number(got?.deadline) + 2_000 } })
    story.settle('confirm', '1')
    assertFound(story, 'extended', /"extend" was acknowledged/)
  })

  it('finds a settlement before the deadline that `schedule` was acknowledged with', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule', { after: 1_000 })
    story.wait(500)
    const wish = story.call('confirm', '1', 'schedule', { after: 5_000 }, { answer: 'refused' })
    Object.assign(wish, { answer: 'ok', got: { deadline: story.now + 5_000 } })
    story.settle('confirm', '1')
    assertFound(story, 'extended', /"schedule" was acknowledged/)
  })
})
