import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function scheduled(): Story {
  const story = new Story()
  story.create('confirm', '1')
  story.call('confirm', '1', 'schedule')
  return story.wait(9_000)
}

describe('refusals', () => {
  it('lets a call be refused for what was true', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'extend', { by: 1 }, { answer: 'refused', code: 'NO_TIMER' })
    story.set('confirm', '1', { status: 9 })
    story.wait(9_000).call('confirm', '1', 'cancel', {}, { answer: 'refused', code: 'ORDER_NOT_IN_FROM' })
    assertFine(story)
  })

  it('lets a call be refused for what became true while it ran', () => {
    const story = scheduled()
    const wish = story.call('confirm', '1', 'extend', { by: 1 }, { answer: 'refused', code: 'ORDER_NOT_IN_FROM' })
    story.settle('confirm', '1')
    wish.completedAt = story.now
    assertFine(story)
  })

  for (const code of ['ORDER_NOT_FOUND', 'ORDER_NOT_IN_FROM', 'NO_TIMER', 'EXTENSION_LIMIT']) {
    it(`finds a call that was refused with ${code}, which was never true`, () => {
      const story = scheduled()
      story.call('confirm', '1', 'extend', { by: 1 }, { answer: 'refused', code })
      assertFound(story, 'refusals', new RegExp(code))
    })
  }

  it('finds a pause, or a resume, that was refused of an order that is paused', () => {
    for (const call of ['pause', 'resume'] as const) {
      const story = scheduled()
      story.call('confirm', '1', 'pause')
      story.wait(40_000).call('confirm', '1', call, {}, { answer: 'refused', code: 'NO_TIMER' })
      assertFound(story, 'refusals', /NO_TIMER/)
    }
  })

  for (const code of ['ERR_ORDER_TIMERS_INVALID_MODEL', 'TypeError']) {
    it(`finds a call that failed with ${code}`, () => {
      for (const answer of ['refused', 'unknown'] as const) {
        const story = scheduled()
        story.call('confirm', '1', 'cancel', {}, { answer }).got = { code }
        assertFound(story, 'refusals', new RegExp(`failed with ${code}`))
      }
    })
  }

  it('lets a call be refused for what no row shows', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule')
    story.call('confirm', '1', 'cancel', {}, { answer: 'refused', code: 'ROW_LOCKED' })
    assertFine(story)
  })
})
