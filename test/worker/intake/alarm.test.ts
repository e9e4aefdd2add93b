// An alarm sleeps for as long as the index says. An order that is put back meanwhile, because its row is locked or its attempt failed, is due before that.

import assert from 'node:assert/strict'
import type { RedisConnection } from '../../../lib/redis/connection.js'
import type { BoundRule } from '../../../lib/rules/rule.js'
import { Alarm } from '../../../lib/worker/intake/alarm.js'
import type { Dispatcher } from '../../../lib/worker/settling/dispatcher.js'
import type { IndexClaims } from '../../../lib/worker/settling/index-claims.js'
import { firstDueMs } from '../../../lib/worker/settling/put-back.js'
import { waitUntil } from '../../support/waiting.js'

/** Far longer than a test waits. */
const LONGEST_SLEEP_MS = 600_000

describe('an alarm that sleeps', () => {
  let claimed: number
  /** What the claims wait for. */
  let answered: Promise<void>
  let alarm: Alarm

  beforeEach(() => {
    claimed = 0
    answered = Promise.resolve()
    const due = async () => {
      claimed += 1
      await answered
      return { work: {}, untilNextMs: Number.POSITIVE_INFINITY }
    }
    const dispatcher = { free: async () => {}, batchSize: () => 1, dispatch: async () => {}, ruleHealth: { taskSucceeded() {} } }
    alarm = new Alarm(
      { kind: 'order_confirm' } as BoundRule,
      { due } as unknown as IndexClaims,
      dispatcher as unknown as Dispatcher,
      { usable: true } as RedisConnection,
      LONGEST_SLEEP_MS,
    )
  })

  afterEach(() => alarm.stop())

  it('claims when an order that went back is due', async () => {
    alarm.start()
    await waitUntil(() => claimed === 1)
    alarm.putBack(LONGEST_SLEEP_MS)
    alarm.putBack(100)
    alarm.putBack(200_000)
    await waitUntil(() => claimed === 2)
  })

  it('claims once more if the order went back while it claimed', async () => {
    let answer = () => {}
    answered = new Promise((resolve) => {
      answer = resolve
    })
    alarm.start()
    await waitUntil(() => claimed === 1)
    alarm.putBack(100)
    answer()
    await waitUntil(() => claimed === 2)
  })

  it('is told of what waits, not of dead letters and what has left', () => {
    assert.equal(firstDueMs([{ id: '1', delayMs: 500 }, { id: '2', delayMs: 250 }, { id: '3', gone: true }, { id: '4' }]), 250)
    assert.equal(firstDueMs([{ id: '1', gone: true }, { id: '2', lapsed: true }, { id: '3', delayMs: 0 }, { id: '4' }]), undefined)
  })
})
