import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

/** An order that is settled by a statement of its own, although its row says that it must not be. */
function settledAnyway(story: Story, kind: 'confirm' | 'pay' | 'cart'): Story {
  const before = story.changes.find(({ to }) => to?.confirmDueAt !== undefined || to?.createdAt !== undefined)?.to
  story.wait(10_000)
  if (before) story.change(kind, '1', before, 'worker 1')
  story.wait(1)
  story.settle(kind, '1')
  return story
}

describe('withdrawn', () => {
  it('lets an order be settled that was cancelled and scheduled again', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule')
    story.call('confirm', '1', 'cancel')
    story.call('confirm', '1', 'schedule')
    story.settle('confirm', '1')
    assertFine(story)
  })

  it('lets an order be settled that was paused and resumed', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule')
    story.call('confirm', '1', 'pause')
    story.call('confirm', '1', 'resume')
    story.settle('confirm', '1')
    assertFine(story)
  })

  it('lets an order be settled whose cancellation is unknown and was not carried out', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule')
    story.call('confirm', '1', 'cancel', {}, { answer: 'unknown' })
    story.settle('confirm', '1')
    assertFine(story)
  })

  for (const call of ['cancel', 'pause'] as const) {
    it(`finds a settlement after an acknowledged ${call} that nothing carried out`, () => {
      const story = new Story()
      story.create('confirm', '1')
      story.call('confirm', '1', 'schedule', { after: 1_000 })
      story.wait(500)
      const wish = story.call('confirm', '1', call, {}, { answer: 'refused' })
      wish.answer = 'ok'
      story.settle('confirm', '1')
      assertFound(story, 'withdrawn', new RegExp(`"${call}" was acknowledged`))
    })
  }

  it('finds a settlement after an acknowledged payment', () => {
    const story = new Story()
    story.create('pay', '1')
    story.wait(500)
    story.set('pay', '1', { status: 2 }, { answer: 'refused' }).answer = 'ok'
    story.settle('pay', '1')
    assertFound(story, 'withdrawn', /"write" was acknowledged/)
  })

  it('finds a settlement after an acknowledged payment of an effect', () => {
    const story = new Story()
    story.create('cart', '1')
    story.wait(500)
    story.set('cart', '1', { isPaid: true }, { answer: 'refused' }).answer = 'ok'
    story.settle('cart', '1')
    assertFound(story, 'withdrawn', /"write" was acknowledged/)
  })

  it('finds a settlement by which a row was brought back by nobody', () => {
    const story = new Story()
    story.create('pay', '1')
    story.set('pay', '1', { status: 2 })
    assertFound(settledAnyway(story, 'pay'), 'explained', /worker 1 changed it/)
  })
})
