// Redis Cluster: what the tests' own cluster of six nodes does, and what a worker on it hears and says while its nodes change.

import assert from 'node:assert/strict'
import { Cluster } from 'ioredis'
import { doctor } from '../../lib/admin/doctor/doctor.js'
import { status } from '../../lib/admin/status.js'
import { type Watched, watch } from '../../lib/admin/watch.js'
import { Keys } from '../../lib/keys.js'
import { slotOf } from '../../lib/slots.js'
import { confirmed, confirming, shipUnarmed } from '../faults/confirming.js'
import { untilArmed } from '../support/armed.js'
import { Lines } from '../support/lines.js'
import { enter } from '../support/opened.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'
import { allWereSettled, burst, webProcess } from './bursts.js'

const COUNT = 2_000

/** So many more, which the sweep arms: none by default, since they take a while on a busy machine. */
const MANY = Number(process.env.CLUSTER_TIMERS ?? 0)

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
  it('hears the events of each primary, of one that is promoted and of one that is added, and its faults name their node', async () => {
    const cluster = await RedisCluster.start()
    const logger = new Lines()
    const shop = await openShop(confirming(), { redis: { nodes: cluster.addresses }, logger })
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

  it('is watched on after a failover, and whoever watches is told that nothing is shown meanwhile', async () => {
    const cluster = await RedisCluster.start()
    const shop = await openShop(confirming(), { redis: { nodes: cluster.addresses } })
    const worker = await shop.worker({ fallback: false })
    const isWell = () => worker.health().redis?.events === true && worker.health().status === 'ok'
    await waitUntil(isWell, { within: 30_000 })
    const notes: Watched[] = []
    const troubles: string[] = []
    const end = await watch(runtimeOf(shop.timers), {
      onNote: (note) => notes.push(note),
      onLost: assert.fail,
      onTrouble: (message) => troubles.push(message),
    })
    const settle = async () => {
      const { id } = await shop.database.Order.create({ status: 4 })
      await untilArmed(() => shop.timers.schedule('order_confirm', id, { after: 300 }))
      const isOfIt = ({ what, orders }: Watched) => what === 'settled' && orders.some((order) => order.id === String(id))
      await waitUntil(() => notes.some(isOfIt), { within: 20_000 })
    }
    await waitUntil(() => runtimeOf(shop.timers).redis?.feed.watched)
    await settle()
    assert.deepEqual(troubles, [])
    await cluster.killPrimary(await cluster.ownerOf(slotOf(runtimeOf(shop.timers).keys.processes)))
    await waitUntil(isWell, { within: 30_000 })
    assert.equal(troubles.length, 1, troubles.join('\n'))
    assert.match(troubles[0]!, /^orderTimers: Redis at cluster .* does not answer/)
    await waitUntil(() => runtimeOf(shop.timers).redis?.feed.watched)
    await settle()
    await end()
    await shop.close()
    await cluster.stop()
  }).timeout(120_000)

  it('settles every order once and none early while a primary is killed and slots move to a new node', async () => {
    const cluster = await RedisCluster.start()
    const redis = { nodes: cluster.addresses }
    const shop = await openShop(confirming(), { redis })
    const web = webProcess(shop.database, { redis, prefix: shop.redis.prefix })
    const worker = await shop.worker({ fallback: '*/10 * * * * *' })
    // The sweep arms these, and they come due in the seconds after the kill.
    await shipUnarmed(shop.database, MANY, 12_000)
    await worker.sweepNow()
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
    await allWereSettled(shop.database, MANY + COUNT, { lateMs: 30_000, within: 60_000 })
    await waitUntil(() => worker.health().status === 'ok' && worker.health().redis?.events, { within: 30_000 })
    await web.close()
    await shop.close()
    await cluster.stop()
  }).timeout(180_000)

  it('settles orders whose keys another service sets, on whichever node each lies, and the doctor looks at each primary', async () => {
    const cluster = await RedisCluster.start()
    const shop = await openShop(confirming(), { redis: { nodes: cluster.addresses } })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events && (worker.health().redis?.externalScans ?? 0) > 0, { within: 30_000 })
    const ids = await shipUnarmed(shop.database, 30, 1_000)
    const other = new Cluster(cluster.addresses)
    const struckOut = enter('a client of a cluster', async () => other.disconnect())
    await Promise.all(ids.map((id) => other.set(shop.key(`order_confirm:${id}`), '1', 'EX', 2)))
    await confirmed(shop, 30)
    assert.deepEqual(new Set(worker.settled.map(({ via }) => via)), new Set(['event']))

    const [first] = await cluster.primaries()
    await first!.client.config('SET', 'maxmemory-policy', 'allkeys-lru')
    const { findings } = await doctor(runtimeOf(shop.timers))
    const wrong = findings
      .filter(({ name, verdict }) => name.startsWith('redis.') && verdict === 'wrong')
      .map(({ name, found }) => `${name} ${found}`)
    assert.deepEqual(wrong, [`redis.eviction 127.0.0.1:${first!.port}: maxmemory-policy allkeys-lru`])
    assert.equal(findings.filter(({ name, verdict }) => name === 'redis.events' && verdict === 'fine').length, 3)
    const { ok, redis } = await status(runtimeOf(shop.timers))
    assert.deepEqual([ok, redis.answering, redis.publishesExpiry], [true, true, true])
    other.disconnect()
    struckOut()
    await shop.close()
    await cluster.stop()
  }).timeout(90_000)

  it('settles them without a scan where each primary publishes that a key was set, and leaves its own timers alone', async () => {
    const cluster = await RedisCluster.start(['--notify-keyspace-events', 'Exg', '--enable-debug-command', 'yes'])
    for (const { client } of cluster.nodes) await client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    const shop = await openShop(confirming(), { redis: { nodes: cluster.addresses } })
    const worker = await shop.worker({ fallback: false, idle: 'economy' })
    await waitUntil(() => worker.health().redis?.events, { within: 30_000 })
    const monitors = await Promise.all((await cluster.primaries()).map(({ client }) => client.monitor()))
    const touched = new Set<string>()
    for (const monitor of monitors)
      monitor.on('monitor', (_at, [command = '', ...keys]: string[], source: string) => {
        if (command.toLowerCase() === 'exists' && source !== 'lua') for (const key of keys) touched.add(key)
      })
    const own = await shop.database.Order.bulkCreate(Array.from({ length: 30 }, () => ({ status: 4 })))
    for (const { id } of own) await untilArmed(() => shop.timers.schedule('order_confirm', id, { after: 1_000 }))
    const ids = await shipUnarmed(shop.database, 30, 1_000)
    const other = new Cluster(cluster.addresses)
    const struckOut = enter('a client of a cluster', async () => other.disconnect())
    await Promise.all(ids.map((id) => other.set(shop.key(`order_confirm:${id}`), '1', 'EX', 2)))
    await confirmed(shop, 60)
    const heard = worker.settled.filter(({ via }) => via === 'event').map(({ id }) => id)
    assert.deepEqual(heard.sort(), ids.map(String).sort())
    await waitUntil(() => touched.size === ids.length)
    assert.deepEqual([...touched].sort(), ids.map((id) => shop.key(`order_confirm:${id}`)).sort())
    for (const monitor of monitors) monitor.disconnect()
    other.disconnect()
    struckOut()
    await shop.close()
    await cluster.stop()
  }).timeout(90_000)
})
