import assert from 'node:assert/strict'
import { latenessOfAll } from '../../../lib/admin/processes.js'
import { BUCKETS, bucketNamed, bucketOf, LATENESS_BOUNDS_MS, nameOfBucket, summaryOf } from '../../../lib/lateness-buckets.js'
import { Moment } from '../../../lib/moment.js'
import { Lateness } from '../../../lib/worker/settling/lateness.js'
import { runtimeOf } from '../../support/runtime.js'
import { openShop, type Shop } from '../../support/shop.js'
import { type OneOfEach, oneOfEach } from '../../support/shop-rules.js'
import { waitUntil } from '../../support/waiting.js'

const order = (latenessMs: number | null) => ({ id: '1', deadline: 0, latenessMs })

describe('a bucket of lateness', () => {
  it('is named by its upper bound, and found again by that name', () => {
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) assert.equal(bucketNamed(nameOfBucket(bucket)), bucket)
    assert.deepEqual([bucketNamed('3'), bucketNamed('')], [undefined, undefined])
    assert.deepEqual([0, 1, 1.5, 2, 3_600_000, 3_600_001].map(bucketOf), [0, 0, 1, 1, 16, 17])
  })

  it('gives percentiles that are right to the bucket', () => {
    const counts = new Uint32Array(BUCKETS)
    assert.deepEqual(summaryOf(counts), { count: 0, p50Ms: null, p99Ms: null })
    counts[bucketOf(3)] = 98
    counts[bucketOf(700)] = 2
    const { count, p50Ms, p99Ms } = summaryOf(counts)
    assert.equal(count, 100)
    assert.ok((p50Ms as number) > 2 && (p50Ms as number) < 5 && (p99Ms as number) > 500 && (p99Ms as number) <= 1_000, `${p50Ms} ${p99Ms}`)
    counts[BUCKETS - 1] = 1_000
    assert.equal(summaryOf(counts).p50Ms, LATENESS_BOUNDS_MS.at(-1))
  })
})

describe('lateness in memory', () => {
  const HOUR_MS = 3_600_000
  let now = 0
  let lateness: Lateness

  beforeEach(() => {
    now = 100 * HOUR_MS
    lateness = new Lateness(['order_pay'], { now: () => now })
  })

  const counts = () => {
    const { minute, hour, day } = lateness.ofRules().order_pay ?? assert.fail()
    return [minute.count, hour.count, day.count]
  }

  it('is of the last minute, hour and day', () => {
    lateness.note('order_pay', 'alarm', [order(3), order(4)], new Moment(1_000))
    assert.deepEqual(counts(), [2, 2, 2])
    now += 50_000
    lateness.note('order_pay', 'sweep', [order(700)], new Moment(60_000))
    assert.deepEqual(counts(), [3, 3, 3])
    now += 20_000
    assert.deepEqual(counts(), [1, 3, 3])
    now += HOUR_MS
    assert.deepEqual(counts(), [0, 0, 3])
    now += 25 * HOUR_MS
    assert.deepEqual(counts(), [0, 0, 0])
  })

  it('is told by path', () => {
    lateness.note('order_pay', 'alarm', [order(3)], new Moment(1_000))
    lateness.note('order_pay', 'sweep', [order(30_000), order(31_000)], new Moment(60_000))
    const { paths, p50Ms } = lateness.ofRules().order_pay?.minute ?? assert.fail()
    assert.deepEqual([paths.alarm.count, paths.event.count, paths.sweep.count], [1, 0, 2])
    assert.ok((p50Ms as number) > 10_000, String(p50Ms))
  })

  it('leaves out what was due before the path looked last, and what nobody knows', () => {
    lateness.note('order_pay', 'alarm', [order(5_000), order(null), order(2)], new Moment(800))
    lateness.note('order_other', 'alarm', [order(2)], new Moment(800))
    assert.deepEqual(counts(), [1, 1, 1])
  })

  it('is taken once for Redis, and taken again where Redis did not take it', () => {
    lateness.note('order_pay', 'event', [order(3), order(4), order(90)], new Moment(1_000))
    const taken = lateness.takeCounts()
    assert.deepEqual([...taken].sort(), [
      ['order_pay event 100', 1],
      ['order_pay event 5', 2],
    ])
    assert.equal(lateness.takeCounts().size, 0)
    lateness.note('order_pay', 'event', [order(3)], new Moment(1_000))
    lateness.putBack(taken)
    assert.equal(lateness.takeCounts().get('order_pay event 5'), 3)
  })
})

describe('the lateness of a worker', () => {
  let shop: Shop<OneOfEach>

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
  })

  afterEach(() => shop.close())

  it('counts what came due while it ran, and neither what was overdue nor what is given a deadline in the past', async () => {
    await shop.database.Order.update({ confirmDueAt: new Date(Date.now() - 20_000) }, { where: { id: await shop.order({ status: 4 }) } })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.settled.length === 1)
    await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }), { at: Date.now() - 60_000 })
    await waitUntil(() => worker.settled.length === 2)
    for (let i = 0; i < 3; i += 1) await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }), { after: 1_000 })
    await waitUntil(() => worker.settled.length === 5)
    const { order_confirm } = worker.health().lateness
    const { minute } = order_confirm ?? assert.fail()
    assert.deepEqual([minute.count, minute.paths.alarm.count, order_confirm?.day.count], [3, 3, 3])
    assert.ok((minute.p50Ms as number) < 2_000, String(minute.p50Ms))
    const inRedis = async () => (await latenessOfAll(runtimeOf(shop.timers)))?.get('order_confirm')
    const told = await waitUntil(async () => ((await inRedis())?.count === 3 ? inRedis() : undefined), { within: 10_000 })
    assert.deepEqual([told.paths.alarm.count, told.paths.sweep.count, told.p50Ms], [3, 0, minute.p50Ms])
  })

  it('does not count an order that is settled at its second attempt, or once its row is free', async () => {
    const worker = await shop.worker({ fallback: false })
    const locked = await shop.order({ status: 4 })
    const client = await shop.database.connect()
    await shop.timers.schedule('order_confirm', locked, { after: 300 })
    await client.query('BEGIN')
    await client.query('SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', [locked])
    await waitUntil(() => (worker.health().kinds.order_confirm?.locked ?? 0) >= 3)
    await client.query('COMMIT')
    await waitUntil(() => worker.settled.length === 1, { within: 10_000 })
    assert.equal(worker.health().lateness.order_confirm?.minute.count, 0)
  })
})
