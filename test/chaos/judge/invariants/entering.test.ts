import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

const ENTERED = [
  ['auto', 'pack', 'packDueAt'],
  ['the trigger', 'dispute', 'dueAt'],
] as const

describe('entering', () => {
  for (const [name, kind, column] of ENTERED) {
    it(`lets ${name} start a timer where an order enters and end it where it leaves`, () => {
      const story = new Story()
      story.create(kind, '1')
      story.set(kind, '1', { status: 77 })
      story.set(kind, '1', { status: kind === 'pack' ? 10 : 1 })
      assertFine(story)
    })

    it(`lets ${name} keep a deadline that was written`, () => {
      const story = new Story()
      story.create(kind, '1', { [column]: story.now + 123_000 })
      assertFine(story)
    })

    it(`finds an order that entered without a deadline under ${name}`, () => {
      const story = new Story()
      story.create(kind, '1')
      delete story.changes[0]!.to![column]
      assertFound(story, 'entering', /without a deadline/)
    })

    it(`finds a deadline of ${name} that does not count from the statement`, () => {
      for (const wrongMs of [-60_000, -500, 60_000]) {
        const story = new Story()
        story.create(kind, '1')
        const { to } = story.changes[0]!
        to![column] = Number(to![column]) + wrongMs
        assertFound(story, 'entering', /does not count/)
      }
    })

    it(`finds that ${name} took another deadline than was written`, () => {
      const story = new Story()
      story.create(kind, '1', { [column]: story.now + 123_000 })
      story.changes[0]!.to![column] = story.now + 2_000
      assertFound(story, 'entering', /did not get the deadline/)
    })

    it(`finds a deadline that ${name} left on an order that is gone`, () => {
      const story = new Story()
      story.create(kind, '1')
      story.set(kind, '1', { status: 77 })
      story.changes[1]!.to![column] = story.now
      assertFound(story, 'entering', /kept its deadline/)
    })
  }
})
