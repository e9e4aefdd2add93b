import assert from 'node:assert/strict'
import { judge } from '../../../chaos/judge/judge.js'
import { Story } from './story.js'
import { assertFine, assertFound } from './verdicts.js'

/** An order that is due, and is settled so much later. */
function settledLate(kind: 'pay' | 'braked', lateMs: number): Story {
  const story = new Story()
  story.create(kind, '1')
  story.wait(3_001 + lateMs).settle(kind, '1')
  return story
}

describe('recovery', () => {
  it('is the time from the end of the last fault to the last settlement that was due by then', () => {
    const story = settledLate('pay', 6_000)
    assert.equal(judge({ ...story.end(), healedAt: story.now - 1_234 }).recoveredMs, 1_234)
  })

  it('counts from the deadline where that came later', () => {
    const story = settledLate('pay', 1_000)
    const { recoveredMs } = judge({ ...story.end(), healedAt: story.now - 60_000 })
    assert.ok(recoveredMs >= 1_000 && recoveredMs < 1_010, String(recoveredMs))
  })

  it('says nothing of what was settled while there were faults', () => {
    const story = settledLate('pay', 30_000)
    const run = story.wait(1_000).end()
    assert.equal(judge(run).recoveredMs, 0)
  })

  it('fails the run where it takes longer than two seconds and a sweep', () => {
    const story = settledLate('pay', 30_000)
    assertFine(story, { healedAt: story.now - 3_900 })
    assertFound(story, 'recovery', /ms after the last fault was healed/, { healedAt: story.now - 4_100 })
  })

  it('allows the work so many times as long as the machine took for it', () => {
    const story = settledLate('pay', 30_000)
    assertFine(story, { healedAt: story.now - 7_900, slowdown: 3 })
    assertFound(story, 'recovery', /ms after the last fault was healed/, { healedAt: story.now - 8_100, slowdown: 3 })
  })

  it('excuses orders that wait by design: their rule failed on them, or its brake stopped it', () => {
    const failed = settledLate('pay', 30_000)
    failed.told.push({ event: 'failed', by: 'worker 1', at: failed.now - 5_000, kind: 'pay', details: { id: '1' } })
    assertFine(failed, { healedAt: failed.now - 20_000 })
    const braked = settledLate('braked', 30_000)
    assertFine(braked, { healedAt: braked.now - 20_000 })
  })

  it('counts from when a write made the order one that can be settled', () => {
    const story = new Story()
    story.create('pay', '1', { createdAt: story.now })
    story.wait(30_000)
    const run = story.end()
    const [created] = run.changes
    const row = created?.to as Record<string, number | string | boolean>
    const at = (ms: number) => ({ at: story.now + ms, trueAt: story.now + ms })
    const change = { table: 'orders', id: '1', op: 'update' as const, by: 'worker 1' }
    const changes = [
      { ...created!, to: { ...row, status: '7' } },
      { ...change, n: 100, txid: '100', ...at(20_000), by: 'shop 1', from: { ...row, status: '7' }, to: row },
      { ...change, n: 101, txid: '101', ...at(21_000), from: row, to: { ...row, status: '0' } },
    ]
    assert.equal(judge({ ...run, changes, healedAt: story.now }).recoveredMs, 1_000)
  })
})
