// The door through which orders are settled, when it is told to give up.

import assert from 'node:assert/strict'
import { orderTimers } from '../../lib/index.js'
import type { Return } from '../../lib/redis/due-index.js'
import type { Work } from '../../lib/worker/claims.js'
import { Dispatcher } from '../../lib/worker/dispatcher.js'
import { WorkerEmitter } from '../../lib/worker/events.js'
import { Faults } from '../../lib/worker/faults.js'
import { runtimeOf } from '../support/runtime.js'

describe('the dispatcher', () => {
  it('begins nothing more once it has given up: what was claimed ahead is put back', async () => {
    const begun: string[][] = []
    const hang = ({ ids }: { ids: readonly string[] }) => {
      begun.push([...ids])
      return new Promise<void>(() => {})
    }
    const timers = orderTimers({ logger: false, redis: false, rules: { order_other: hang } })
    const runtime = runtimeOf(timers)
    const events = new WorkerEmitter()
    const dispatcher = new Dispatcher({
      rules: new Map([['order_other', runtime.rule('order_other')]]),
      concurrency: () => 1,
      leaseMs: 30_000,
      worker: 'worker 1',
      events,
      faults: new Faults(events, runtime.log),
      log: runtime.log,
      lateness: () => null,
      arm: () => {},
    })
    const putBack: Return[] = []
    const claimed = (id: string): Work => ({
      kind: 'order_other',
      via: 'alarm',
      ids: [id],
      deadlineOf: () => undefined,
      keep: async () => {},
      failures: async () => new Map(),
      finish: async (returns) => void putBack.push(...returns),
    })
    for (const id of ['1', '2']) void dispatcher.dispatch(claimed(id))
    await dispatcher.drain(Promise.resolve(), 10)
    assert.deepEqual(begun, [['1']])
    assert.deepEqual(
      putBack.map(({ id, failure }) => [id, failure]),
      [
        ['1', undefined],
        ['2', undefined],
      ],
    )
    await timers.close()
  })
})
