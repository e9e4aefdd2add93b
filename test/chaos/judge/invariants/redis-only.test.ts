import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function scheduled(kind: 'fleeting' | 'handle'): Story {
  const story = new Story()
  if (kind === 'fleeting') story.create(kind, '1')
  story.call(kind, '1', 'schedule', { after: 1_000 })
  return story.wait(2_000)
}

describe('redis-only', () => {
  it('lets a timer be carried out at least once', () => {
    const story = scheduled('handle')
    story.handle('1')
    story.handle('1')
    const other = scheduled('fleeting')
    other.settle('fleeting', '1')
    assertFine(story.wait(20_000))
    assertFine(other.wait(20_000))
  })

  for (const kind of ['fleeting', 'handle'] as const) {
    it(`finds a timer of ${kind} that was never carried out, unless Redis lost its data meanwhile`, () => {
      const story = scheduled(kind).wait(20_000)
      assertFound(story, 'redis-only', /never carried out/)
      assertFine(story, { losses: [{ beganAt: story.now - 1_000, endedAt: story.now }] })
      assertFound(story, 'redis-only', /never carried out/, { losses: [{ beganAt: 0, endedAt: 1 }] })
    })
  }

  it('lets a timer be forgotten that was cancelled, or that Redis never acknowledged', () => {
    const story = scheduled('handle')
    story.call('handle', '1', 'cancel')
    const other = scheduled('handle')
    other.wishes[0]!.got!.armed = false
    assertFine(story.wait(20_000))
    assertFine(other.wait(20_000))
  })

  it('lets a timer be forgotten whose order has left', () => {
    const story = scheduled('fleeting')
    story.set('fleeting', '1', { status: 2 })
    assertFine(story.wait(20_000))
  })

  for (const kind of ['fleeting', 'handle'] as const) {
    it(`finds a timer of ${kind} that was carried out too early, unless a clock was moved by as much`, () => {
      const story = new Story()
      if (kind === 'fleeting') story.create(kind, '1')
      story.call(kind, '1', 'schedule', { after: 5_000 })
      if (kind === 'fleeting') story.settle(kind, '1')
      else story.handle('1')
      assertFound(story, 'redis-only', /before its first deadline/)
      assertFine(story, { clockMoves: [{ at: story.now - 9, offsetMs: -5_000 }] })
    })
  }

  it('finds a call for an id that was never scheduled', () => {
    const story = new Story()
    story.handle('1')
    assertFound(story, 'redis-only', /never scheduled/)
  })
})
