// Redis Cluster: what the tests' own cluster of six nodes does, and what a worker on it hears and says while its nodes change.

import assert from 'node:assert/strict'
import { Cluster } from 'ioredis'
import { Keys } from '../../lib/keys.js'
import { CLUSTERS } from '../../lib/redis/source.js'
import { slotOf } from '../../lib/slots.js'
import { confirming } from '../faults/confirming.js'
import { Lines } from '../support/lines.js'
import { enter } from '../support/opened.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'
import { allWereSettled, burst, webProcess } from './bursts.js'

const COUNT = 2_000

/** So many slots move, among them that of a partition of the index. */
const MOVED = 400

describe('A cluster of six nodes', () => {
  it('keeps what was written while a primary is killed, comes back, and slots move to a new node', async () => {
    const cluster = await RedisCluster.start()
    const client = new Cluster(cluster.addresses, { redisOptions: { maxRetriesPerRequest: null } })
    const struckOut = enter('a client of a cluster', async () => client.disconnect())
    const keys = Array.from({ length: 300 }, (_, i) => `key:${i}`)
    await Promise.all(keys.map((key) => client.set(key, '1')))
    const [first, second] = await cluster.primaries()
    await first!.client.wait(1, 2_000)
    const promoted = await cluster.killPrimary(first!)
    assert.deepEqual((await cluster.primaries()).includes(promoted), true)
    await cluster.revive(first!)
    const added = await cluster.addNode()
    const [[from]] = (await cluster.slotsOf(second!)) as [[number, number]]
    await cluster.moveSlots(second!, added, [from, from + 199])
    assert.equal((await cluster.ownerOf(from + 100)).id, added.id)
    await cluster.failOver(promoted)
    const found = await Promise.all(keys.map((key) => client.exists(key)))
    assert.equal(
      found.reduce((sum, one) => sum + one, 0),
      300,
    )
    client.disconnect()
    struckOut()
    await cluster.stop()
  }).timeout(90_000)
})

describe('A worker on a cluster', () => {
  before(() => {
    CLUSTERS.refused = false
  })
  after(() => {
    CLUSTERS.refused = true
  })

  it('hears the events of each primary, of one that is promoted and of one that is added, and its faults name their node', async () => {
    const cluster = await RedisCluster.start()
    const logger = new Lines()
    const shop = await openShop(confirming(), { redis: { nodes: cluster.addresses } as never, logger })
    const worker = await shop.worker({ fallback: false })
    const hearsAll = () => worker.health().redis?.events === true && worker.health().status === 'ok'
    await waitUntil(hearsAll, { within: 30_000 })

    const [first, second] = await cluster.primaries()
    const promoted = await cluster.killPrimary(first!)
    const [gone] = worker.faultsTold
    assert.equal(gone?.code, 'REDIS_UNAVAILABLE')
    assert.equal(gone.node, `127.0.0.1:${first!.port}`)
    assert.match(gone.message, new RegExp(`^Redis at 127\\.0\\.0\\.1:${first!.port} \\(a node of the cluster\\) does not answer`))
    const told = (text: string) => logger.of('info').some((line) => line.includes(text))
    await waitUntil(() => told(`127.0.0.1:${promoted.port} serves slots`) && told(`127.0.0.1:${first!.port} serves no slots any more`))
    await waitUntil(hearsAll, { within: 30_000 })

    const added = await cluster.addNode()
    const [[from]] = (await cluster.slotsOf(second!)) as [[number, number]]
    await cluster.moveSlots(second!, added, [from, from + 19])
    await waitUntil(() => told(`127.0.0.1:${added.port} serves slots`))
    await waitUntil(hearsAll, { within: 30_000 })

    await added.client.config('SET', 'notify-keyspace-events', '')
    await waitUntil(() => worker.health().faults.some(({ code, node }) => code === 'EVENTS_OFF' && node === `127.0.0.1:${added.port}`))
    await waitUntil(() => worker.health().redis?.events === false)
    await added.client.config('SET', 'notify-keyspace-events', 'Ex')
    await waitUntil(hearsAll, { within: 30_000 })
    await shop.close()
    await cluster.stop()
  }).timeout(120_000)

  it('settles every order once and none early while a primary is killed and slots move to a new node', async () => {
    const cluster = await RedisCluster.start()
    const redis = { nodes: cluster.addresses } as never
    const shop = await openShop(confirming(), { redis })
    const web = webProcess(shop.database, { redis, prefix: shop.redis.prefix })
    const worker = await shop.worker({ fallback: '*/10 * * * * *' })
    const { half, done } = burst(shop.database, web, COUNT)
    await half
    const [first, second] = await cluster.primaries()
    const added = await cluster.addNode()
    const ofPartition = (partition: number) => slotOf(new Keys('', true).sets('order_confirm', partition).due)
    assert.equal((await cluster.ownerOf(ofPartition(3))).id, second!.id)
    const from = ofPartition(3) - MOVED / 2
    await Promise.all([cluster.killPrimary(first!), cluster.moveSlots(second!, added, [from, from + MOVED - 1])])
    assert.equal((await cluster.ownerOf(ofPartition(3))).id, added.id)
    await done
    await allWereSettled(shop.database, COUNT, { lateMs: 20_000, within: 40_000 })
    await waitUntil(() => worker.health().status === 'ok' && worker.health().redis?.events, { within: 30_000 })
    await web.close()
    await shop.close()
    await cluster.stop()
  }).timeout(180_000)
})
