// The door through which orders are settled: when it is told to give up, and when the lease of what it has in hand is no longer ours.

import assert from 'node:assert/strict'
import { orderTimers } from '../../../lib/index.js'
import { Moment } from '../../../lib/moment.js'
import type { Disposition } from '../../../lib/redis/leases.js'
import { WorkerEmitter } from '../../../lib/worker/events.js'
import { Faults } from '../../../lib/worker/faults.js'
import { Reporter } from '../../../lib/worker/reporter.js'
import { Dispatcher } from '../../../lib/worker/settling/dispatcher.js'
import { Lateness } from '../../../lib/worker/settling/lateness.js'
import { type HeldLease, leaseInMemory } from '../../../lib/worker/settling/lease.js'
import type { Work } from '../../../lib/worker/settling/work.js'
import { runtimeOf } from '../../support/runtime.js'

type Handler = (work: { ids: readonly string[] }) => unknown

/** A dispatcher with one handler as its rule, one batch at a time; what it gives back and what it tells. */
function openDispatcher(handler: Handler) {
  const timers = orderTimers({ redis: false, logger: false, rules: { order_other: handler } })
  const runtime = runtimeOf(timers)
  const events = new WorkerEmitter()
  const failed: string[] = []
  events.on('failed', ({ id }) => failed.push(id))
  const rule = runtime.rule('order_other')
  const dispatcher = new Dispatcher({
    tracer: () => undefined,
    rules: new Map([[rule.kind, rule]]),
    concurrency: () => 1,
    catchUp: 1,
    worker: 'worker 1',
    reporter: new Reporter([rule.kind], events, new Faults(events, runtime.log), runtime.log),
    lateness: () => null,
    latenessCounts: new Lateness([rule.kind]),
    arm: () => {},
  })
  const putBack: Disposition[] = []
  const claimed = (ids: string[], lease: HeldLease = leaseInMemory()): Work => ({
    rule,
    via: 'alarm',
    isBacklog: false,
    ids,
    lookedAt: new Moment(),
    deadlineOf: () => undefined,
    lease,
    failures: async () => new Map(),
    finish: async (dispositions) => void putBack.push(...dispositions),
  })
  return { dispatcher, claimed, putBack, failed, close: () => timers.close() }
}

/** A lease that is ours until it is let lapse. */
function lapsing() {
  const lease = { held: true, renew: async () => lease.held, renewed: () => () => {} }
  return lease
}

function lapsed(...ids: string[]): Disposition[] {
  return ids.map((id) => ({ id, lapsed: true }))
}

describe('the dispatcher', () => {
  it('begins nothing more once it leaves: what was claimed ahead is given back at once, and what hangs when it gives up', async () => {
    const begun: string[][] = []
    const { dispatcher, claimed, putBack, close } = openDispatcher(({ ids }) => {
      begun.push([...ids])
      return new Promise<void>(() => {})
    })
    for (const id of ['1', '2']) void dispatcher.dispatch(claimed([id]))
    await dispatcher.drain(Promise.resolve(), 10)
    assert.deepEqual(begun, [['1']])
    assert.deepEqual(putBack, [
      { id: '2', delayMs: 0 },
      { id: '1', delayMs: 0 },
    ])
    await close()
  })

  it('does not wait without end for a batch that cannot be ended, nor for the intake', async () => {
    const { dispatcher, claimed, close } = openDispatcher(() => {})
    const never = new Promise<void>(() => {})
    void dispatcher.dispatch({ ...claimed(['1']), finish: () => never })
    await dispatcher.drain(never, 10)
    assert.equal(dispatcher.busy, 1)
    await close()
  })

  it('begins no batch whose lease has lapsed, and drops none of it', async () => {
    const begun: string[][] = []
    const { dispatcher, claimed, putBack, close } = openDispatcher(({ ids }) => void begun.push([...ids]))
    const lease = { ...lapsing(), held: false, renew: async () => false }
    await dispatcher.dispatch(claimed(['1', '2'], lease))
    assert.deepEqual([begun, putBack], [[], lapsed('1', '2')])
    await close()
  })

  it('gives back what a bug of the package kept from being settled', async () => {
    const { dispatcher, claimed, putBack, close } = openDispatcher(() => {})
    const renew = async () => {
      throw new Error('a bug')
    }
    await dispatcher.dispatch(claimed(['1', '2'], { ...lapsing(), held: false, renew }))
    assert.deepEqual(
      putBack.map(({ id, delayMs }) => [id, Number(delayMs) > 0]),
      [
        ['1', true],
        ['2', true],
      ],
    )
    await close()
  })

  it('gives back what a bug of the package kept from being asked about, and keeps it claimed no longer', async () => {
    const { dispatcher, claimed, putBack, close } = openDispatcher(() => {})
    dispatcher.verifying.verify = async () => {
      throw new Error('a bug')
    }
    let renewals = 0
    const renewed = () => {
      renewals += 1
      return () => {
        renewals -= 1
      }
    }
    const work = claimed(['1'], { ...lapsing(), renewed })
    await dispatcher.dispatch({ ...work, rule: { ...work.rule, row: { verification: {} } } as never })
    assert.deepEqual([putBack.map(({ id, delayMs }) => [id, Number(delayMs) > 0]), renewals], [[['1', true]], 0])
    await close()
  })

  it('goes on where Redis says that a lease which may have lapsed is ours', async () => {
    const begun: string[][] = []
    const { dispatcher, claimed, close } = openDispatcher(({ ids }) => void begun.push([...ids]))
    await dispatcher.dispatch(claimed(['1'], { ...lapsing(), held: false, renew: async () => true }))
    assert.deepEqual(begun, [['1']])
    await close()
  })

  it('begins no batch that waited for its turn until its lease had lapsed', async () => {
    const begun: string[][] = []
    const lease = lapsing()
    const { dispatcher, claimed, close } = openDispatcher(({ ids }) => {
      begun.push([...ids])
      lease.held = false
    })
    await Promise.all([dispatcher.dispatch(claimed(['1'])), dispatcher.dispatch(claimed(['2'], lease))])
    assert.deepEqual(begun, [['1']])
    await close()
  })

  it('begins no half of a batch, and counts no attempt, once its lease has lapsed', async () => {
    const begun: string[][] = []
    const lease = lapsing()
    const { dispatcher, claimed, putBack, failed, close } = openDispatcher(({ ids }) => {
      begun.push([...ids])
      if (ids.length === 1) lease.held = false
      throw new Error('refused')
    })
    await dispatcher.dispatch(claimed(['1', '2', '3', '4'], lease))
    assert.deepEqual(begun, [['1', '2', '3', '4'], ['1', '2'], ['1']])
    assert.deepEqual([putBack, failed], [lapsed('1', '2', '3', '4'), []])
    await close()
  })

  it('counts the attempt of a rule that failed while its lease was held', async () => {
    const { dispatcher, claimed, putBack, failed, close } = openDispatcher(() => {
      throw new Error('refused')
    })
    await dispatcher.dispatch(claimed(['1'], lapsing()))
    assert.deepEqual([failed, putBack[0]?.failure?.attempts], [['1'], 1])
    await close()
  })
})
