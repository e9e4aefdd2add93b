// Faults that are judged by silence, after the process itself stood still: it was not listening, so they are doubtful.

import assert from 'node:assert/strict'
import { WorkerEmitter } from '../../lib/worker/events.js'
import { Faults } from '../../lib/worker/faults.js'
import { Standstill } from '../../lib/worker/standstill.js'
import { blockEventLoop } from '../support/standing-still.js'
import { waitForEvent } from '../support/waiting.js'

const BY_SILENCE = ['REDIS_UNAVAILABLE', 'POSTGRES_UNAVAILABLE', 'SWEEP_FAILED', 'EVENTS_OFF'] as const

describe('faults of a process that stood still', () => {
  let standstill: Standstill
  let faults: Faults
  let events: WorkerEmitter
  let told: string[]

  beforeEach(() => {
    standstill = new Standstill()
    standstill.start()
    events = new WorkerEmitter()
    told = []
    events.on('fault', ({ code, kind }) => told.push(`${code} ${kind ?? ''}`))
    faults = new Faults(
      events,
      Object.assign(() => {}, { debugs: false, flush() {} }),
      standstill,
    )
  })

  afterEach(() => {
    standstill.stop()
    faults.stop()
  })

  for (const code of BY_SILENCE) {
    it(`${code} is not told where it is over at once`, () => {
      blockEventLoop(1_200)
      faults.raise(code, { kind: 'order_confirm', message: 'no answer' })
      faults.raise(code, { kind: 'order_confirm', message: 'no answer' })
      faults.clear(code, 'order_confirm')
      faults.raise(code, { message: 'no answer' })
      faults.clear(code)
      assert.deepEqual([told, faults.list()], [[], []])
    })

    it(`${code} is told two seconds later where it is not over`, async () => {
      blockEventLoop(1_200)
      faults.raise(code, { kind: 'order_confirm', message: 'no answer' })
      assert.deepEqual(told, [])
      await waitForEvent(events, 'fault')
      assert.deepEqual(told, [`${code} order_confirm`])
    })
  }

  it('are told at once where the process did not stand still, or where silence proves nothing', () => {
    faults.raise('REDIS_UNAVAILABLE', { message: 'no answer' })
    blockEventLoop(1_200)
    faults.raise('BRAKED', { kind: 'order_confirm', message: 'stopped' })
    assert.deepEqual(told, ['REDIS_UNAVAILABLE ', 'BRAKED order_confirm'])
  })
})
