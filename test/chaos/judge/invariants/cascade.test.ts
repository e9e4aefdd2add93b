import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function packed(): Story {
  const story = new Story()
  story.create('pack', '1')
  story.settle('pack', '1')
  return story
}

describe('cascade', () => {
  it('lets a settlement start the next timer', () => {
    const story = packed()
    story.settle('send', '1')
    assertFine(story)
  })

  it('lets the trigger pause the next timer at once, with all of its time', () => {
    const story = new Story()
    story.create('arrive', '1', { disputeOpen: true })
    story.settle('arrive', '1')
    assertFine(story)
    story.changes.at(-1)!.to!.leftMs = 7
    assertFound(story, 'cascade', /did not start the timer of dispute/)
  })

  it('finds a settlement that started no timer', () => {
    const story = packed()
    delete story.changes.at(-1)!.to!.sendDueAt
    assertFound(story, 'cascade', /did not start the timer of send/)
  })

  it('finds a next deadline that does not count from the settlement', () => {
    for (const wrongMs of [-500, 60_000]) {
      const story = packed()
      const { to } = story.changes.at(-1)!
      to!.sendDueAt = Number(to!.sendDueAt) + wrongMs
      assertFound(story, 'cascade', /did not start the timer of send/)
    }
  })

  it('finds a timer that was started again after the settlement', () => {
    const story = packed()
    story.change('send', '1', { ...story.row('send', '1')!, sendDueAt: story.now + 2_500 }, 'worker 2')
    assertFound(story, 'explained', /worker 2 changed it/)
  })

  it('finds a settlement that changes the deadline of another rule', () => {
    const story = new Story()
    story.create('pay', '1', { confirmDueAt: story.now + 100_000 })
    story.settle('pay', '1')
    delete story.changes.at(-1)!.to!.confirmDueAt
    assertFound(story, 'cascade', /changed the deadline of confirm/)
  })
})
