// A cluster whose layout gives another number of partitions than 8: a worker serves all of them, and no others, also if it learns of the number late.

import assert from 'node:assert/strict'
import type { WorkerOptions } from '../../lib/index.js'
import { Keys } from '../../lib/keys.js'
import { slotOf } from '../../lib/slots.js'
import { confirmed, confirming, wereNotLate } from '../faults/confirming.js'
import { untilArmed } from '../support/armed.js'
import { type ClusterNode, RedisCluster } from '../support/redis-cluster.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

/** Longer than the test here has a node hang: it does not fail over. */
const PATIENT = ['--cluster-node-timeout', '60000']

const COUNT = 60

describe('A cluster whose index is in another number of partitions than 8', function () {
  this.timeout(60_000)
  let cluster: RedisCluster
  let first: ClusterNode

  before(async () => {
    cluster = await RedisCluster.start(PATIENT)
    first = await cluster.ownerOf(slotOf(new Keys('', true).layout))
  })
  after(() => cluster.stop())
  afterEach(() => first.server.resume())

  const open = async (partitions: number) => {
    const shop = await openShop(confirming(), { redis: { nodes: cluster.addresses } })
    const { keys } = runtimeOf(shop.timers)
    await first.client.hset(keys.layout, 'partitions', partitions)
    const start = async (options: WorkerOptions = {}) => {
      const worker = await shop.worker({ fallback: false, ...options })
      return { worker, isWell: () => worker.health().redis?.events && worker.health().status === 'ok' }
    }
    /** Orders that come due in all partitions, settled on time by the alarm. */
    const settle = async (worker: TestWorker) => {
      const orders = await shop.database.Order.bulkCreate(Array.from({ length: COUNT }, () => ({ status: 4 })))
      for (const { id } of orders) await untilArmed(() => shop.timers.schedule('order_confirm', id, { after: 1_000 }))
      await confirmed(shop, COUNT, 60_000)
      assert.deepEqual(new Set(worker.settled.map(({ via }) => via)), new Set(['alarm']))
      return orders.map(({ id }) => id)
    }
    return { shop, keys, start, settle }
  }

  it('has all of fewer served', async () => {
    const { shop, keys, start, settle } = await open(4)
    const { worker, isWell } = await start()
    await waitUntil(isWell, { within: 30_000 })
    assert.equal(keys.partitions, 4)
    await settle(worker)
    assert.deepEqual(worker.faultsTold, [])
    await shop.close()
  })

  it('has all of fewer served, and no others any more, once the node is back that says so', async () => {
    const { shop, keys, start, settle } = await open(2)
    first.server.pause()
    const { worker, isWell } = await start()
    await waitUntil(() => worker.faultsTold.length > 0)
    assert.equal(keys.partitions, 8)
    first.server.resume()
    await waitUntil(() => keys.partitions === 2 && isWell(), { within: 30_000 })
    await settle(worker)
    assert.deepEqual(new Set(worker.faultsTold.map(({ code }) => code)), new Set(['REDIS_UNAVAILABLE']))
    await shop.close()
  })

  it('has each alarm of more woken by its own timers, with pulses far apart', async () => {
    const { shop, keys, start, settle } = await open(16)
    const { worker, isWell } = await start({ idle: 'economy' })
    await waitUntil(isWell, { within: 30_000 })
    assert.equal(keys.partitions, 16)
    await wereNotLate(shop.database, await settle(worker))
    await shop.close()
  })
})
