import { BEGIN, Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function due(): Story {
  const story = new Story()
  story.create('trial', '1', { trialAt: BEGIN + 1_000 })
  return story
}

describe('dry-run', () => {
  it('lets an order be said to be due, once by each process and deadline', () => {
    const story = due()
    story.sayDue('trial', '1')
    story.sayDue('trial', '1', 'worker 2', 2)
    story.sayDue('trial', '1', 'worker 1', 3)
    story.call('trial', '1', 'schedule', { after: 2_000 })
    story.sayDue('trial', '1')
    assertFine(story.wait(60_000))
  })

  it('lets an order leave before it is due, without a report', () => {
    const story = due()
    story.set('trial', '1', { status: 9, trialAt: undefined })
    assertFine(story.wait(60_000))
  })

  it('finds a settlement, and a deadline that a worker took away', () => {
    for (const to of [
      { id: 1, status: 0 },
      { id: 1, status: 1 },
    ]) {
      const story = due()
      story.sayDue('trial', '1')
      story.change('trial', '1', to, 'worker 1')
      assertFound(story, 'dry-run', /trial only says what it would do, and worker 1 changed it/)
    }
  })

  it('finds a report before the order was due, or for another deadline', () => {
    for (const [at, deadline] of [
      [500, 1_000],
      [5_000, 4_000],
    ] as const) {
      const story = due()
      story.sayDue('trial', '1')
      const orders = [{ id: '1', deadline: BEGIN + deadline }]
      story.told.push({ event: 'dryRun', by: 'worker 2', at: BEGIN + at, kind: 'trial', details: { pid: 2, orders } })
      assertFound(story.wait(9_000), 'dry-run', /it was not due/)
    }
  })

  it('finds what one process reported twice', () => {
    const story = due()
    story.sayDue('trial', '1')
    story.sayDue('trial', '1')
    assertFound(story, 'dry-run', /said twice/)
  })

  it('finds an order without a report', () => {
    const story = due().wait(9_000)
    const healedAt = BEGIN
    assertFound(story, 'dry-run', /trial never said that it would settle it, \d+ ms after it was due/, { healedAt })
    assertFine(story, { healedAt: story.now - 3_000 })
  })
})
