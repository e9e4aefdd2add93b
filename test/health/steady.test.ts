import assert from 'node:assert/strict'
import { Backlog } from '../../lib/health/backlog.js'
import type { State } from '../../lib/health/checks.js'
import { Steady } from '../../lib/health/steady.js'

const short: Record<string, State> = { o: 'ok', d: 'degraded', f: 'failing' }

/** The states after each of these readings. */
function states(readings: string, atOnce = false): string {
  const steady = new Steady()
  return [...readings].map((reading) => steady.note(short[reading] as State, atOnce)[0]).join('')
}

describe('a check’s state', () => {
  it('becomes worse by two readings in a row, and better by three', () => {
    assert.equal(states('odod'), 'oooo')
    assert.equal(states('oddooo'), 'oodddo')
    assert.equal(states('ddoodooo'), 'oddddddo')
  })

  it('becomes as bad as both readings were, and as good as the worst of three', () => {
    assert.equal(states('dff'), 'odf')
    assert.equal(states('ffdod'), 'offfd')
    assert.equal(states('ffooo'), 'offfo')
  })

  it('becomes worse by one reading where that is told at once', () => {
    assert.equal(states('odooo', true), 'odddo')
  })
})

describe('a backlog', () => {
  it('shrinks while there are fewer, or the oldest is younger, than some seconds ago', () => {
    let now = 0
    const backlog = new Backlog(() => now)
    const note = (seconds: number, count: number, ageMs: number) => {
      now += seconds * 1_000
      const overdue = { kind: 'order_pay', count, ageMs }
      backlog.note([overdue])
      return backlog.shrinks(overdue)
    }
    assert.equal(note(0, 100, 60_000), false)
    assert.equal(note(1, 90, 61_000), true, 'fewer')
    assert.equal(note(1, 110, 40_000), true, 'younger')
    assert.equal(note(20, 110, 60_000), false, 'nothing for long')
    assert.equal(note(1, 110, 61_000), false, 'stuck')
    assert.equal(note(30, 60, 90_000), true, 'fewer than when somebody last looked')
    backlog.note([])
    assert.equal(note(1, 10, 1_000), false, 'a backlog of its own')
  })
})
