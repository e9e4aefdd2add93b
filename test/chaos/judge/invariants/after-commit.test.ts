import { RULES, Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function settled(): Story {
  const story = new Story()
  story.create('confirm', '1')
  story.call('confirm', '1', 'schedule')
  story.settle('confirm', '1')
  return story
}

const { history: _, ...withoutHistory } = RULES.confirm
const WITHOUT_HISTORY = { rules: [withoutHistory], recorded: [] }

describe('after-commit', () => {
  it('lets it be called again under the same key after it failed', () => {
    const story = settled()
    story.deliveries.unshift({ ...story.deliveries[0]!, outcome: 'failed' })
    assertFine(story)
  })

  it('finds an order for which it was never called', () => {
    const story = settled()
    story.deliveries.length = 0
    assertFound(story, 'after-commit', /was never carried out/)
  })

  it('finds an order for which it failed and was not called again, unless it was given up', () => {
    const story = settled()
    story.deliveries[0]!.outcome = 'failed'
    assertFound(story, 'after-commit', /was never carried out/)
    story.recorded[0]!.attempts = RULES.confirm.attempts
    assertFine(story)
  })

  it('finds another key for the same settlement', () => {
    const story = settled()
    story.deliveries.push({ ...story.deliveries[0]!, key: 'confirm:1:7' })
    assertFound(story, 'after-commit', /key of no settlement/)
  })

  it('finds a call for an order that was not settled', () => {
    const story = settled()
    story.create('confirm', '2')
    story.deliveries.push({ ...story.deliveries[0]!, id: '2', key: 'confirm:2:7' })
    assertFound(story, 'after-commit', /key of no settlement/)
  })

  it('finds a call that was given an order as it was before the settlement', () => {
    const story = settled()
    story.deliveries[0]!.status = '5'
    assertFine(story)
    story.deliveries[0]!.status = '4'
    assertFound(story, 'after-commit', /order of status 4/)
  })

  it('finds a call before the settlement', () => {
    const story = settled()
    story.deliveries[0]!.at -= 1_000
    assertFound(story, 'after-commit', /before the settlement/)
  })

  it('without a history lets it be called once or not at all', () => {
    const story = settled()
    assertFine(story, WITHOUT_HISTORY)
    story.deliveries.length = 0
    assertFine(story, WITHOUT_HISTORY)
  })

  it('without a history finds that it was called twice', () => {
    const story = settled()
    story.deliveries.push({ ...story.deliveries[0]! })
    assertFound(story, 'after-commit', /2 times without a history/, WITHOUT_HISTORY)
  })
})
