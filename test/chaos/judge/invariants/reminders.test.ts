import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function reminded(): Story {
  const story = new Story()
  story.create('confirm', '1')
  story.call('confirm', '1', 'schedule', { after: 20_000 })
  story.remind('confirm', '1')
  return story
}

describe('reminders', () => {
  it('lets each deadline have its reminder', () => {
    const story = reminded()
    story.call('confirm', '1', 'extend', { by: 5_000 })
    story.remind('confirm', '1')
    story.settle('confirm', '1')
    assertFine(story)
  })

  it('finds a second reminder of one deadline', () => {
    const story = reminded()
    story.deliveries.push({ ...story.deliveries[0]! })
    assertFound(story, 'reminders', /given twice/)
  })

  it('finds a second row for one deadline', () => {
    const story = reminded()
    story.recorded.push({ ...story.recorded[0]! })
    assertFound(story, 'reminders', /two rows/)
  })

  it('finds a reminder of a deadline that never was', () => {
    const story = reminded()
    story.deliveries[0]!.deadline = 7
    assertFound(story, 'reminders', /never was on the row/)
  })

  it('finds a reminder that was given an order which is not in "from"', () => {
    const story = reminded()
    story.deliveries[0]!.status = '4'
    assertFine(story)
    story.deliveries[0]!.status = '9'
    assertFound(story, 'reminders', /order of status 9/)
  })

  it('finds a reminder that came too early', () => {
    const story = reminded()
    story.recorded[0]!.settledAt -= 500
    assertFound(story, 'reminders', /too early/)
  })

  it("follows Postgres's clock where a fault had moved it when the reminder was written", () => {
    const story = reminded()
    const remindedAt = story.now
    story.call('confirm', '1', 'cancel')
    story.recorded[0]!.settledAt += 300_000
    const moves = [-100, 100].map((ms) => ({ at: remindedAt + ms, offsetMs: ms < 0 ? 300_000 : 0 }))
    assertFine(story, { clockMoves: moves })
    assertFound(story, 'reminders', /not waiting for that deadline/)
  })

  const LEFT = {
    'had left': { status: 9 },
    'had another deadline': { confirmDueAt: Date.UTC(2030, 1) },
    'had none': { confirmDueAt: undefined },
  }
  for (const [name, columns] of Object.entries(LEFT)) {
    it(`finds a reminder of an order that ${name}`, () => {
      const story = new Story()
      story.create('confirm', '1')
      story.call('confirm', '1', 'schedule', { after: 20_000 })
      const row = { ...story.row('confirm', '1')! }
      story.wait(2_000).set('confirm', '1', columns)
      story.change('confirm', '1', row, 'shop 1')
      story.remind('confirm', '1')
      story.changes.pop()
      assertFound(story, 'reminders', /not waiting for that deadline/)
    })
  }
})
