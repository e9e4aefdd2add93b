import assert from 'node:assert/strict'
import { FEATURES } from '../../../chaos/history.js'
import { judge, untried } from '../../../chaos/judge/judge.js'
import { Story } from './story.js'

describe('the judge', () => {
  it('counts orders by what they are there to try and by what their rules have', () => {
    const story = new Story()
    story.create('pay', '1')
    story.create('pack', '2')
    story.call('confirm', '2', 'cancel', {}, { answer: 'refused' }).feature = 'cancel'
    const { features } = judge(story.end())
    assert.deepEqual([features.since, features.auto, features.cascade, features.cancel, features.handler], [1, 1, 1, 1, 0])
  })

  it('counts wishes, unknown ones and settlements, and how late these were', () => {
    const story = new Story()
    story.create('pay', '1')
    story.set('pay', '1', { note: 'x' }, { answer: 'unknown' })
    const change = story.settle('pay', '1')
    change.at += 40
    const { wishes, unknown, settled, latenessMs } = judge(story.end())
    assert.deepEqual([wishes, unknown, settled], [2, 1, 1])
    assert.ok(latenessMs.max >= 40 && latenessMs.max <= 42, String(latenessMs.max))
  })

  it('names the order, the feature and the evidence of an anomaly', () => {
    const story = new Story()
    story.create('confirm', '7')
    const change = story.settle('confirm', '7')
    const [found] = judge(story.end()).anomalies
    assert.deepEqual([found?.invariant, found?.order, found?.feature], ['never-early', 'orders 7', 'deadline'])
    assert.deepEqual(found?.evidence, { change })
  })

  it('shows a hundred anomalies of one invariant, and says how many more there are', () => {
    const story = new Story()
    for (let id = 1; id <= 103; id += 1) story.create('pay', String(id))
    const { anomalies } = judge(story.wait(20_000).end())
    assert.equal(anomalies.length, 101)
    assert.deepEqual([anomalies.at(-1)?.invariant, anomalies.at(-1)?.message], ['lost', 'and 3 more'])
  })

  it('says what a run has not tried', () => {
    const texts = untried(judge(new Story().end())).map(({ message }) => message)
    for (const feature of FEATURES) assert.ok(texts.includes(`no order tried "${feature}"`), feature)
    assert.ok(texts.includes('it never happened that an answer was unknown'))
  })

  it('does not list what a run has tried', () => {
    const story = new Story()
    story.create('pay', '1', {}, { answer: 'unknown' })
    const texts = untried(judge(story.end())).map(({ message }) => message)
    assert.ok(!texts.some((text) => text.includes('"since"') || text.includes('an answer was unknown')))
  })

  it('knows an order whose creation was never answered by what its row says', () => {
    const story = new Story()
    story.create('pay', '1', {}, { answer: 'unknown', isCarriedOut: true }).id = null
    story.settle('pay', '1')
    assert.deepEqual(judge(story.end()).anomalies, [])
  })
})
