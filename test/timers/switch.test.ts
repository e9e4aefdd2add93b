import assert from 'node:assert/strict'
import { orderTimers } from '../../lib/index.js'
import { RUNTIME, type Runtime } from '../../lib/timers/runtime.js'
import { switchedOn } from '../../lib/timers/switch.js'
import { refusal, refused } from '../support/refused.js'

/** Each word as typed, in capitals, and with blanks around it. */
const spellings = (words: string[]) => words.flatMap((word) => [word, word.toUpperCase(), ` ${word}\n`])
const make = (options = {}) => orderTimers({ logger: false, redis: false, rules: { order_other: () => {} }, ...options })
const isOn = (options = {}) => (make(options) as unknown as { [RUNTIME]: Runtime })[RUNTIME].enabled

describe('the environment variable ORDER_TIMERS', () => {
  const before = process.env.ORDER_TIMERS
  afterEach(() => {
    if (before === undefined) delete process.env.ORDER_TIMERS
    else process.env.ORDER_TIMERS = before
  })

  it('switches the timers off', () => {
    for (const word of spellings(['off', 'false', '0', 'no'])) {
      process.env.ORDER_TIMERS = word
      assert.equal(isOn(), false, JSON.stringify(word))
    }
  })

  it('leaves them on', () => {
    assert.equal(switchedOn(undefined), true)
    for (const word of spellings(['on', 'true', '1', 'yes', ''])) {
      process.env.ORDER_TIMERS = word
      assert.equal(isOn(), true, JSON.stringify(word))
    }
  })

  it('is an error where it is neither, which names it and shows what it has', async () => {
    const message = (shown: string) =>
      `orderTimers: the environment variable ORDER_TIMERS must be on, true, 1, yes or empty, or off, false, 0 or no, got ${shown}`
    for (const word of ['offf', 'disabled', '2', '-1', 'null', 'off;']) {
      process.env.ORDER_TIMERS = word
      assert.deepEqual(await refused(make), refusal('INVALID_OPTION', 500, message(JSON.stringify(word))))
    }
  })

  it('is not looked at where the option "enabled" is given', () => {
    process.env.ORDER_TIMERS = 'offf'
    assert.equal(isOn({ enabled: true }), true)
    process.env.ORDER_TIMERS = 'on'
    assert.equal(isOn({ enabled: false }), false)
  })
})
