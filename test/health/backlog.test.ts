import assert from 'node:assert/strict'
import { Backlog } from '../../lib/health/backlog.js'

const orders = (count: number, agoMs = 0, kind = 'order_pay') => ({ kind, count, ageMs: 600_000, agoMs })

describe('a backlog', () => {
  let now: number
  let backlog: Backlog

  beforeEach(() => {
    now = 0
    backlog = new Backlog(() => now)
    backlog.note([orders(900)], [])
    now += 1_000
  })

  it('shrinks if fewer orders are overdue than some seconds ago, and is forgotten when none is', () => {
    backlog.note([orders(800)], [])
    assert.equal(backlog.shrinks(orders(800)), true)
    assert.equal(backlog.shrinks(orders(900)), false)
    backlog.note([], [])
    assert.equal(backlog.shrinks(orders(800)), false)
  })

  it('still shrinks in a reading that did not reach the rule, and in the one after', () => {
    for (const unread of [[], ['order_pay']]) {
      backlog.note([orders(800)], [])
      now += 1_000
      backlog.note(unread.length > 0 ? [] : [orders(800, 1_200)], unread)
      assert.equal(backlog.shrinks(orders(800, 1_200)), true)
      now += 1_000
      backlog.note([orders(700)], [])
      assert.equal(backlog.shrinks(orders(700)), true)
    }
  })

  it('that was not read again does not count as one that stands still', () => {
    for (let i = 0; i < 30; i += 1) {
      backlog.note([orders(800, 1_000 + i)], [])
      now += 1_000
    }
    backlog.note([orders(700)], [])
    assert.equal(backlog.shrinks(orders(700)), true)
  })

  it('shrinks while there are fewer, or the oldest is younger, than some seconds ago', () => {
    let at = 0
    const own = new Backlog(() => at)
    const note = (seconds: number, count: number, ageMs: number) => {
      at += seconds * 1_000
      const overdue = { kind: 'order_pay', count, ageMs, agoMs: 0 }
      own.note([overdue], [])
      return own.shrinks(overdue)
    }
    assert.equal(note(0, 100, 60_000), false)
    assert.equal(note(1, 90, 61_000), true, 'fewer')
    assert.equal(note(1, 110, 40_000), true, 'younger')
    assert.equal(note(20, 110, 60_000), false, 'nothing for long')
    assert.equal(note(1, 110, 61_000), false, 'stuck')
    assert.equal(note(30, 60, 90_000), true, 'fewer than when somebody last looked')
    own.note([], [])
    assert.equal(note(1, 10, 1_000), false, 'a backlog of its own')
  })
})
