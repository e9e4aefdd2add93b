// Claims in Redis whose lease lapses before all of their orders are begun. What was not begun must not be dropped: the timers of plain
// functions are nowhere else.

import assert from 'node:assert/strict'
import { orderTimers } from '../../../lib/index.js'
import type { Leases } from '../../../lib/redis/leases.js'
import { WorkerEmitter } from '../../../lib/worker/events.js'
import { Faults } from '../../../lib/worker/faults.js'
import { Reporter } from '../../../lib/worker/reporter.js'
import { Dispatcher } from '../../../lib/worker/settling/dispatcher.js'
import { IndexClaims } from '../../../lib/worker/settling/index-claims.js'
import { Lateness } from '../../../lib/worker/settling/lateness.js'
import { KIND, OpenedIndex, PAST_MS } from '../../redis/opened-index.js'
import { runtimeOf } from '../../support/runtime.js'
import { waitUntil } from '../../support/waiting.js'

const LEASE_MS = 1_000
const TOKEN = 'token'

describe('a claim whose lease lapses', () => {
  let opened: OpenedIndex
  let deadline: number
  /** What Redis does not answer. */
  let unanswered: Set<'keep' | 'finish'>

  beforeEach(async () => {
    opened = await OpenedIndex.open()
    unanswered = new Set()
    deadline = (await opened.clock.now()) - PAST_MS
    for (const id of ['1', '2']) await opened.arm(id, deadline)
  })

  afterEach(() => opened.close())

  /** Claims both orders as a worker would, without its alarms: nothing else is claimed. */
  async function settle(handler: (ids: string[]) => Promise<void>): Promise<IndexClaims> {
    const timers = orderTimers({ redis: false, logger: false, rules: { [KIND]: ({ ids }) => handler(ids) } })
    const runtime = runtimeOf(timers)
    const rule = runtime.rule(KIND)
    const events = new WorkerEmitter()
    const dispatcher = new Dispatcher({
      tracer: () => undefined,
      rules: new Map([[KIND, rule]]),
      concurrency: () => 1,
      catchUp: 1,
      worker: 'worker 1',
      reporter: new Reporter([KIND], events, new Faults(events, runtime.log), runtime.log),
      lateness: () => null,
      latenessCounts: new Lateness([KIND]),
      arm: () => {},
    })
    const { failures, keys } = opened
    const claims = new IndexClaims({
      leases: reached(),
      failures,
      keys,
      leaseMs: () => LEASE_MS,
      skewMs: () => 0,
      dueAt: () => undefined,
      token: () => TOKEN,
    })
    const { work } = await claims.due(rule, 10, 0)
    assert.deepEqual(work.ids, ['1', '2'])
    await dispatcher.dispatch(work)
    await timers.close()
    return claims
  }

  function reached(): Leases {
    const { leases } = opened
    const reach = <T>(what: 'keep' | 'finish', send: () => Promise<T>) =>
      unanswered.has(what) ? Promise.reject(new Error('Redis does not answer')) : send()
    return Object.assign(Object.create(leases) as Leases, {
      keep: (...sent: Parameters<Leases['keep']>) => reach('keep', () => leases.keep(...sent)),
      finish: (...sent: Parameters<Leases['finish']>) => reach('finish', () => leases.finish(...sent)),
    })
  }

  async function lapse(): Promise<void> {
    unanswered.add('keep')
    const ends = Number(await opened.redis.client.zscore(opened.keys.sets(KIND).leases, TOKEN))
    await waitUntil(async () => {
      const [seconds, microseconds] = await opened.redis.client.time()
      return Number(seconds) * 1_000 + Number(microseconds) / 1_000 > ends
    })
  }

  const lapseAndFail = async () => {
    await lapse()
    throw new Error('refused')
  }

  const isBack = async (...ids: string[]) => {
    assert.deepEqual(await opened.redis.client.zrange(opened.keys.sets(KIND).due, 0, '-1'), ids)
    for (const id of ids) assert.equal(await opened.scoreOf(id), String(deadline))
  }

  it('goes back as a whole, at the old deadlines', async () => {
    await settle(lapseAndFail)
    await isBack('1', '2')
    assert.deepEqual(await opened.settledJustNow(), [])
  })

  it('goes back although its end was not answered, as soon as Redis answers again', async () => {
    const claims = await settle(() => {
      unanswered.add('finish')
      return lapseAndFail()
    })
    await isBack()
    unanswered.clear()
    await claims.retry(0)
    await isBack('1', '2')
    assert.deepEqual(await opened.settledJustNow(), [])
  })

  it('goes back without what was settled before', async () => {
    const begun: string[][] = []
    await settle(async (ids) => {
      begun.push(ids)
      if (ids.length > 1) throw new Error('refused')
      await lapse()
    })
    assert.deepEqual(begun, [['1', '2'], ['1']])
    await isBack('2')
    assert.deepEqual(await opened.settledJustNow(), ['1'])
  })

  it('does not go back from a claim that has taken it meanwhile', async () => {
    await settle(async () => {
      await lapse()
      assert.deepEqual((await opened.claim('another')).ids, ['1', '2'])
      throw new Error('refused')
    })
    await isBack()
    const held = await opened.redis.client.smembers(`${opened.keys.sets(KIND).lease}another`)
    assert.deepEqual(held.sort(), ['1', '2'])
  })
})
