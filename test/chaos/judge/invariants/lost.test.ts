import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

describe('lost', () => {
  it('lets an order wait for its deadline, and for a sweep after it', () => {
    const story = new Story()
    story.create('pay', '1')
    assertFine(story.wait(4_000))
  })

  it('finds an order that is overdue at the end', () => {
    const story = new Story()
    story.create('pay', '1')
    assertFound(story.wait(9_000), 'lost', /pay has not settled it/)
  })

  it('finds one whose Postgres had another clock', () => {
    const story = new Story()
    story.create('pay', '1')
    assertFound(story.wait(4_000), 'lost', /not settled/, { clockMoves: [{ at: story.now - 100, offsetMs: 10_000 }] })
  })

  it('excuses an order that is paused by a call', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule')
    story.call('confirm', '1', 'pause')
    assertFine(story.wait(20_000))
  })

  it('excuses an order whose declared pause holds', () => {
    const story = new Story()
    story.create('dispute', '1')
    story.set('dispute', '1', { disputeOpen: true })
    assertFine(story.wait(20_000))
  })

  it('excuses a stale order', () => {
    const story = new Story()
    story.create('pay', '1')
    assertFine(story.wait(64_000))
  })

  it('excuses what a brake holds back, and only while it is stopped', () => {
    const story = new Story()
    story.create('braked', '1')
    story.wait(20_000)
    assertFine(story, { braked: { braked: true } })
    assertFound(story, 'lost', /braked/, { braked: { braked: false } })
  })

  it('excuses no dead letter any more that was put back, until it is one again', () => {
    const story = new Story()
    story.create('pay', '1')
    story.wait(4_000)
    const dead = { event: 'dead', by: 'worker 1', at: story.now, kind: 'pay', details: { id: '1' } }
    story.wait(10).call('pay', '1', 'retry')
    story.wait(20_000)
    assertFound(story, 'lost', /pay/, { told: [dead] })
    assertFine(story, { told: [dead, { ...dead, at: story.now - 9_000 }] })
  })

  it('excuses a dead letter, and no other order of its rule', () => {
    const story = new Story()
    story.create('pay', '1')
    story.wait(20_000)
    const dead = (id: string) => ({ told: [{ event: 'dead', by: 'worker 1', at: story.now, kind: 'pay', details: { id } }] })
    assertFine(story, dead('1'))
    assertFound(story, 'lost', /pay/, dead('2'))
  })
})
