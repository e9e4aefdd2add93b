// One node of a Redis Cluster that hangs, is emptied, is configured otherwise or does not know its users: it costs its own share only, and is told by name.

import assert from 'node:assert/strict'
import { Cluster, type ClusterOptions, Redis } from 'ioredis'
import { doctor } from '../../lib/admin/doctor/doctor.js'
import { status } from '../../lib/admin/status.js'
import { type Watched, watch } from '../../lib/admin/watch.js'
import { startExpiryWorker } from '../../lib/index.js'
import { Keys } from '../../lib/keys.js'
import { fromNode, fromNodes } from '../../lib/redis/cluster-source.js'
import { RedisConnection } from '../../lib/redis/connection.js'
import { aclRules } from '../../lib/redis/rights.js'
import { explain } from '../../lib/redis/trouble.js'
import { slotOf } from '../../lib/slots.js'
import { confirmed, confirming, EVERY_SECOND, shipUnarmed } from '../faults/confirming.js'
import { untilArmed } from '../support/armed.js'
import { freePort } from '../support/free-port.js'
import { Lines } from '../support/lines.js'
import { enter } from '../support/opened.js'
import { type ClusterNode, RedisCluster } from '../support/redis-cluster.js'
import { RedisServer } from '../support/redis-server.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { TlsServer, VALID } from '../support/tls-server.js'
import { holdsFor, waitForEvent, waitUntil } from '../support/waiting.js'
import { webProcess } from './bursts.js'

/** Longer than any test here has a node hang: none fails over. */
const PATIENT = ['--cluster-node-timeout', '60000']

const COUNT = 60

describe('A cluster of which one primary', function () {
  this.timeout(60_000)
  let cluster: RedisCluster
  let hung: ClusterNode

  before(async () => {
    cluster = await RedisCluster.start(PATIENT)
    hung = (await cluster.primaries())[1] as ClusterNode
  })
  after(() => cluster.stop())
  afterEach(() => hung.server.resume())

  /** A worker without sweeps, so that all must be settled by the alarm, and a web process. */
  const open = async () => {
    const redis = { nodes: cluster.addresses }
    const shop = await openShop(confirming(), { redis })
    const logger = new Lines()
    const web = webProcess(shop.database, { redis, prefix: shop.redis.prefix, logger })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events && worker.health().status === 'ok', { within: 30_000 })
    await web.check()
    const keys = new Keys(shop.redis.prefix, true)
    const slots = await cluster.slotsOf(hung)
    const isOnHung = (id: number | string) => {
      const slot = slotOf(keys.sets('order_confirm', keys.partitionOf(String(id))).due)
      return slots.some(([first, last]) => first <= slot && slot <= last)
    }
    const schedule = async (afterMs: number) => {
      const orders = await shop.database.Order.bulkCreate(Array.from({ length: COUNT }, () => ({ status: 4 })))
      return Promise.all(
        orders.map(async ({ id }) => {
          const calledAt = performance.now()
          const { armed } = await web.schedule('order_confirm', id, { after: afterMs })
          return { id, armed, tookMs: performance.now() - calledAt }
        }),
      )
    }
    const close = async () => {
      await web.close()
      await shop.close()
    }
    return { shop, web, worker, logger, isOnHung, schedule, close }
  }

  it('hangs costs its own share only, which is armed when it goes on, and is told once', async () => {
    const { shop, web, worker, logger, isOnHung, schedule, close } = await open()
    hung.server.pause()
    const called = await schedule(1_000)
    assert.ok(called.every(({ tookMs }) => tookMs < 2_000))
    const others = called.filter(({ id }) => !isOnHung(id))
    assert.ok(others.length > 10 && others.length < COUNT - 5, `${others.length} are elsewhere`)
    assert.deepEqual(new Set(called.filter(({ id }) => isOnHung(id)).map(({ armed }) => armed)), new Set([false]))
    const spare = (await shop.database.Order.bulkCreate(Array.from({ length: COUNT }, () => ({ status: 4 })))).find(
      ({ id }) => !isOnHung(id),
    )
    await untilArmed(() => web.schedule('order_confirm', spare!.id, { after: '1h' }))
    await confirmed(shop, others.length)
    assert.deepEqual(new Set(worker.settled.map(({ via }) => via)), new Set(['alarm']))
    await waitUntil(() => worker.faultsTold.some(({ code, node }) => code === 'REDIS_UNAVAILABLE' && node === `127.0.0.1:${hung.port}`))
    await schedule(100) // two seconds later the fault is the same one
    const told = () => [...logger.of('warn'), ...logger.of('info')].filter((line) => line.startsWith('REDIS_UNAVAILABLE'))
    assert.equal(told().length, 1, told().join('\n'))
    assert.deepEqual(
      web.health().faults.map(({ code }) => code),
      ['REDIS_UNAVAILABLE'],
    )
    hung.server.resume()
    await waitUntil(() => web.health().status === 'ok' && web.health().redis?.kept === 0, { within: 20_000 })
    await confirmed(shop, 2 * COUNT) // its share by whichever is first, the alarm or the sweep that follows a subscription
    await waitUntil(() => worker.health().status === 'ok' && worker.health().redis?.events, { within: 20_000 })
    await close()
  })

  it('hangs leaves its share to the sweep, which arms and settles that of the others meanwhile', async () => {
    const { shop, close } = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    hung.server.pause()
    await shipUnarmed(shop.database, COUNT, 3_000)
    await confirmed(shop, COUNT)
    hung.server.resume()
    await waitUntil(() => worker.health().status === 'ok', { within: 20_000 })
    await close()
  })

  it('hangs keeps no expired key of another service from being followed when it goes on', async () => {
    const { shop, worker, isOnHung, close } = await open()
    await waitUntil(() => (worker.health().redis?.externalScans ?? 0) > 0, { within: 30_000 })
    const ids = await shipUnarmed(shop.database, COUNT, 0)
    const other = new Cluster(cluster.addresses)
    const struckOut = enter('a client of a cluster', async () => other.disconnect())
    const slots = await cluster.slotsOf(hung)
    const isElsewhere = (key: string) => slots.every(([first, last]) => slotOf(key) < first || slotOf(key) > last)
    const keys = ids.flatMap((id) => {
      const key = shop.key(`order_confirm:${id}`)
      return isOnHung(id) && isElsewhere(key) ? [key] : []
    })
    assert.ok(keys.length > 3, `${keys.length} keys`)
    await Promise.all(keys.map((key) => other.set(key, '1', 'PX', 1_000)))
    hung.server.pause()
    await waitUntil(async () => (await Promise.all(keys.map((key) => other.exists(key)))).every((found) => found === 0))
    hung.server.resume()
    await confirmed(shop, keys.length)
    assert.deepEqual(new Set(worker.settled.map(({ via }) => via)), new Set(['event']))
    other.disconnect()
    struckOut()
    await close()
  })

  it('hangs carries no command out twice whose connection was given up', async () => {
    const keys = new Keys('twice:', true)
    const connection = new RedisConnection(fromNodes({ nodes: cluster.addresses }), 'test', keys)
    const strikeOut = enter('a connection to a cluster', async () => connection.close())
    await connection.connected(10_000)
    const [[slot]] = (await cluster.slotsOf(hung)) as [[number, number]]
    const key = Array.from({ length: 100_000 }, (_, i) => `twice:${i}`).find((name) => Math.abs(slotOf(name) - slot - 500) < 400) as string
    const increment = () => connection.ask((client) => client.incr(key))
    assert.equal(await increment(), 1)
    hung.server.pause()
    const { code, message } = await refused(increment)
    assert.equal(code, 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE', message)
    hung.server.resume()
    await waitUntil(async () => (await hung.client.get(key)) === '2')
    assert.equal(await waitUntil(() => increment().catch(() => undefined)), 3)
    connection.close()
    strikeOut()
  })

  it('is emptied is told by name, and its share is armed again', async () => {
    const { shop, worker, isOnHung, schedule, close } = await open()
    const called = await schedule(20_000)
    const armed = () => runtimeOf(shop.timers).redis?.index.count('order_confirm', 2_000)
    await waitUntil(async () => (await armed()) === COUNT) // on a busy machine some a second later
    const restored: number[] = []
    worker.on('restored', ({ armed }) => restored.push(armed))
    await hung.client.call('FLUSHALL')
    const lostCount = called.filter(({ id }) => isOnHung(id)).length
    await waitUntil(() => restored.reduce((sum, armed) => sum + armed, 0) >= lostCount)
    const lost = worker.faultsTold.filter(({ code }) => code === 'REDIS_LOST_DATA')
    assert.deepEqual(new Set(lost.map(({ node }) => node)), new Set([`127.0.0.1:${hung.port}`]))
    assert.match(lost[0]?.message as string, /\(a node of the cluster\) lost its data \(order_confirm\)/)
    await waitUntil(() => worker.health().status === 'ok')
    await confirmed(shop, COUNT, 30_000)
    await close()
  })

  it('hangs keeps none from learning that another has lost its data, which is armed again meanwhile', async () => {
    const { shop, worker, schedule, close } = await open()
    const called = await schedule(25_000)
    await waitUntil(async () => (await runtimeOf(shop.timers).redis?.index.count('order_confirm', 2_000)) === COUNT)
    const emptied = (await cluster.primaries()).at(-1)!
    const [[first, last]] = (await cluster.slotsOf(emptied)) as [[number, number]]
    const keys = new Keys(shop.redis.prefix, true)
    const slotsOfIndex = called.map(({ id }) => slotOf(keys.sets('order_confirm', keys.partitionOf(String(id))).due))
    const lostCount = slotsOfIndex.filter((slot) => first <= slot && slot <= last).length
    const restored: number[] = []
    worker.on('restored', ({ armed }) => restored.push(armed))
    const nodesOf = (code: string) => worker.health().faults.flatMap((fault) => (fault.code === code ? fault.node : []))
    hung.server.pause()
    await waitUntil(() => nodesOf('REDIS_UNAVAILABLE').includes(`127.0.0.1:${hung.port}`))
    await emptied.client.call('FLUSHALL')
    await waitUntil(() => restored.reduce((sum, armed) => sum + armed, 0) >= lostCount)
    await waitUntil(() => nodesOf('REDIS_LOST_DATA').length === 0)
    const lost = worker.faultsTold.filter(({ code }) => code === 'REDIS_LOST_DATA')
    assert.deepEqual(new Set(lost.map(({ node }) => node)), new Set([`127.0.0.1:${emptied.port}`]))
    assert.deepEqual(nodesOf('REDIS_UNAVAILABLE'), [`127.0.0.1:${hung.port}`])
    hung.server.resume()
    await waitUntil(() => worker.health().status === 'ok', { within: 20_000 })
    await confirmed(shop, COUNT, 40_000)
    assert.deepEqual(new Set(worker.settled.map(({ via }) => via)), new Set(['alarm']))
    await close()
  })

  it('refuses writes refuses them until it takes some, also with pulses far apart', async () => {
    const shop = await openShop(confirming(), { redis: { nodes: cluster.addresses } })
    await hung.client.config('SET', 'maxmemory', '1')
    const worker = await shop.worker({ fallback: false, idle: 'economy' })
    const refuses = () => worker.health().faults.some(({ code, node }) => code === 'REDIS_REFUSES' && node === `127.0.0.1:${hung.port}`)
    await waitUntil(refuses, { within: 20_000 })
    await holdsFor(7_000, refuses) // a refusal that nobody asks about is forgotten after 5 s; pulses are 15 s apart
    const { refusals } = runtimeOf(shop.timers).redis!.connection
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: 20 }, () => ({ status: 4 })))
    await Promise.all(orders.map(({ id }) => shop.timers.schedule('order_confirm', id, { after: '1h' })))
    assert.ok(refusals.present)
    const [silent] = (await cluster.primaries()).filter((node) => node !== hung) as [ClusterNode]
    silent.server.pause()
    try {
      await hung.client.config('SET', 'maxmemory', '0')
      await waitUntil(() => !refuses(), { within: 5_000 })
      await waitUntil(() => !refusals.present, { within: 15_000 }) // whoever else is away
    } finally {
      silent.server.resume()
    }
    await shop.close()
  })

  it('gives a slot away is told once, and what was kept is armed when the slot has moved', async () => {
    const { shop, web, worker, logger, isOnHung, close } = await open()
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: COUNT }, () => ({ status: 4 })))
    const { id } = orders.find((order) => isOnHung(order.id))!
    const schedule = () => web.schedule('order_confirm', id, { after: '1h' })
    await untilArmed(schedule) // one of the two keys is there, so a node that gives the slot away does not say ASK
    const keys = new Keys(shop.redis.prefix, true)
    const slot = slotOf(keys.sets('order_confirm', keys.partitionOf(String(id))).due)
    const taker = (await cluster.primaries()).find((node) => node !== hung)!
    await taker.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', hung.id)
    await hung.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', taker.id)
    const told = () => [...logger.of('warn'), ...logger.of('info')].filter((line) => line.startsWith('REDIS_UNAVAILABLE'))
    try {
      assert.equal((await schedule()).armed, false)
      await waitUntil(() => told().length === 1)
      await holdsFor(5_000, () => told().length === 1)
      await waitUntil(() => unserved(worker)?.includes(`the index in partition ${keys.partitionOf(String(id))} (`))
      assert.equal(worker.health().redis?.connected, false)
    } finally {
      for (const node of [hung, taker]) await node.client.call('CLUSTER', 'SETSLOT', slot, 'STABLE')
    }
    await waitUntil(() => web.health().status === 'ok' && web.health().redis?.kept === 0, { within: 20_000 })
    assert.equal(told().length, 2, told().join('\n'))
    await waitUntil(() => worker.health().status === 'ok' && worker.health().redis?.connected)
    await close()
  })

  it('has lost a slot that no other has taken is told, and costs the timers there alone until one takes it', async () => {
    const { shop, web, worker, isOnHung, schedule, close } = await open()
    const keys = new Keys(shop.redis.prefix, true)
    const partitionOf = (id: number) => keys.partitionOf(String(id))
    const partition = keys.everyPartition.find((one) => isOnHung(named(one, keys)))!
    const slot = slotOf(keys.sets('order_confirm', partition).due)
    const onAll = (...command: (string | number)[]) =>
      Promise.all(cluster.nodes.map(({ client }) => client.call(...(command as [string, string]))))
    await onAll('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    await onAll('CLUSTER', 'DELSLOTS', slot)
    try {
      await waitUntil(() => unserved(worker)?.includes(`the index in partition ${partition} (`), { within: 20_000 })
      assert.match(
        unserved(worker) as string,
        /CLUSTERDOWN Hash slot not served\).*; the cluster serves no such slot now; look at CLUSTER INFO$/,
      )
      const called = await schedule(500)
      const others = called.filter(({ id }) => partitionOf(id) !== partition)
      assert.ok(called.filter(({ id }) => partitionOf(id) === partition).every(({ armed }) => !armed))
      await confirmed(shop, others.length)
    } finally {
      await hung.client.call('CLUSTER', 'ADDSLOTS', slot)
      await onAll('CONFIG', 'SET', 'cluster-require-full-coverage', 'yes')
    }
    await waitUntil(() => worker.health().status === 'ok' && web.health().redis?.kept === 0, { within: 20_000 })
    await confirmed(shop, COUNT)
    await close()
  })

  it('or its replica hangs is not what somebody who watches goes on listening to', async () => {
    const { shop, close } = await open()
    const notes: Watched[] = []
    const troubles: string[] = []
    const listeners = { onNote: (note: Watched) => notes.push(note), onLost: assert.fail, onTrouble: (text: string) => troubles.push(text) }
    const heardFrom = async () => {
      const lists = await Promise.all(cluster.nodes.map(({ client }) => client.call('CLIENT', 'LIST') as Promise<string>))
      return cluster.nodes.find((_, i) => lists[i]?.includes('name=ioredis-cluster(subscriber):express-order-timers:watch '))
    }
    const primaries = await cluster.primaries()
    let end = await watch(runtimeOf(shop.timers), listeners)
    let node = await waitUntil(heardFrom)
    while (primaries.includes(node)) {
      await end()
      end = await watch(runtimeOf(shop.timers), listeners)
      node = await waitUntil(heardFrom)
    }
    node.server.pause()
    try {
      await waitUntil(() => troubles.length > 0)
      assert.match(troubles[0]!, /does not answer \(it takes messages and delivers none\)/)
      const id = await shop.order({ status: 4 })
      await untilArmed(() => shop.timers.schedule('order_confirm', id, { after: 5_000 }))
      const isOfIt = ({ what, orders }: Watched) => what === 'settled' && orders.some((order) => order.id === String(id))
      await waitUntil(() => notes.some(isOfIt), { within: 30_000 })
    } finally {
      node.server.resume()
    }
    await end()
    await close()
  })

  it('is given a slot goes on with its scan for keys of others', async () => {
    const { shop, worker, close } = await open()
    const slots = await cluster.slotsOf(hung)
    const isElsewhere = (slot: number) => slots.every(([first, last]) => slot < first || last < slot)
    const key = Array.from({ length: 100 }, (_, id) => shop.key(`order_confirm:${id}`)).find((name) => isElsewhere(slotOf(name))) as string
    const giver = await cluster.ownerOf(slotOf(key))
    await hung.client.call('CLUSTER', 'SETSLOT', slotOf(key), 'IMPORTING', giver.id)
    const there = (...command: [string, ...string[]]) => hung.client.pipeline([['asking'], command]).exec()
    try {
      await there('set', key, '1', 'PX', '60000')
      assert.deepEqual(await hung.client.call('CLUSTER', 'GETKEYSINSLOT', slotOf(key), 2), [key])
      const passes = () => worker.health().redis?.externalScans as number
      const before = passes()
      await waitUntil(() => passes() >= before + 3, { within: 20_000 })
    } finally {
      await there('unlink', key)
      await hung.client.call('CLUSTER', 'SETSLOT', slotOf(key), 'STABLE')
    }
    await close()
  })

  it('is asked for a slot that it does not serve is not taken for one that was given alone', async () => {
    const connection = new RedisConnection(fromNode(hung.client), 'test')
    const strikeOut = enter('a connection to a node', async () => connection.close())
    connection.open()
    await connection.connected(10_000)
    const [[slot]] = (await cluster.slotsOf(hung)) as [[number, number]]
    const key = Array.from({ length: 1_000 }, (_, i) => `elsewhere:${i}`).find((name) => slotOf(name) < slot) as string
    const error: Error = await connection.ask((client) => client.get(key)).catch((refused) => refused)
    assert.match(error.message, /^MOVED /)
    const { code, remedy } = explain(error, connection.where)
    assert.deepEqual([code, remedy], ['REDIS_UNUSABLE', 'the cluster serves no such slot now; look at CLUSTER INFO'])
    connection.close()
    strikeOut()
  })

  it('publishes no events is found by status', async () => {
    const { shop, close } = await open()
    await hung.client.config('SET', 'notify-keyspace-events', '')
    const { redis, troubles } = await status(runtimeOf(shop.timers))
    await hung.client.config('SET', 'notify-keyspace-events', 'Ex')
    assert.equal(redis.publishesExpiry, false)
    assert.ok(troubles.some(({ code }) => code === 'EVENTS_OFF'))
    assert.equal((await status(runtimeOf(shop.timers))).redis.publishesExpiry, true)
    await close()
  })

  it('lacks a right is found by the doctor, and elsewhere users with the least rights do all that they do', async () => {
    const place = { prefix: 'rights:', db: 0, kinds: ['order_confirm'], inCluster: true }
    const asUser = (role: string) => ({ nodes: cluster.addresses, redisOptions: { username: `shop-${role}`, password: role } })
    for (const { client } of cluster.nodes) {
      for (const role of ['web', 'worker'] as const)
        await client.call('ACL', 'SETUSER', `shop-${role}`, 'on', `>${role}`, ...aclRules(role, place).split(' '))
      await client.call('ACL', 'LOG', 'RESET')
    }
    const shop = await openShop(confirming(), { prefix: place.prefix, redis: asUser('worker') })
    const web = webProcess(shop.database, { prefix: place.prefix, redis: asUser('web') })
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await waitUntil(() => worker.health().redis?.events && (worker.health().redis?.externalScans ?? 0) > 0, { within: 30_000 })
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: 30 }, () => ({ status: 4 })))
    const [first, ...others] = orders
    await untilArmed(() => web.schedule('order_confirm', first!.id, { after: '1h' })) // not due while the others are scheduled
    for (const { id } of others) await untilArmed(() => web.schedule('order_confirm', id, { after: 500 }))
    await web.extend('order_confirm', first!.id, 100)
    await web.cancel('order_confirm', first!.id)
    await web.schedule('order_confirm', first!.id, { after: 100 })
    const other = new Cluster(cluster.addresses)
    const struckOut = enter('a client of a cluster', async () => other.disconnect())
    const { id } = await shop.database.Order.create({ status: 4, confirmDueAt: new Date() })
    await other.set(`${place.prefix}order_confirm:${id}`, '1', 'PX', 100)
    await confirmed(shop, 31)
    const logged = await Promise.all(cluster.nodes.map(({ client }) => client.call('ACL', 'LOG')))
    assert.deepEqual(logged.flat(), [])
    const rights = async () => {
      const { findings } = await doctor(runtimeOf(shop.timers))
      return findings.filter(({ name }) => name === 'redis.rights').map(({ verdict, found }) => ({ verdict, found }))
    }
    assert.deepEqual(
      (await rights()).map(({ verdict }) => verdict),
      ['fine', 'fine', 'fine'],
    )
    await hung.client.call('ACL', 'SETUSER', 'shop-worker', '-sinterstore', '-cluster|slots')
    const lacking = (await rights()).filter(({ verdict }) => verdict === 'wrong')
    assert.deepEqual(
      lacking.map(({ found }) => found),
      [`127.0.0.1:${hung.port}: it lacks +sinterstore +cluster|slots`],
    )
    other.disconnect()
    struckOut()
    await web.close()
    await shop.close()
  })

  it('is like the others is reached over TLS, under the names that natMap gives', async () => {
    const proxies = await Promise.all(cluster.nodes.map(({ port }) => TlsServer.start(VALID, port)))
    const natMap = Object.fromEntries(
      cluster.nodes.map(({ port }, i) => [`127.0.0.1:${port}`, { host: 'localhost', port: proxies[i]!.port }]),
    )
    const [entry] = proxies
    const redis = {
      nodes: [{ host: 'localhost', port: entry!.port }],
      natMap,
      redisOptions: { tls: { ca: VALID.cert, servername: 'redis.test' }, family: 4 },
    }
    const shop = await openShop(confirming(), { redis })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events && worker.health().status === 'ok', { within: 30_000 })
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: 20 }, () => ({ status: 4 })))
    for (const { id } of orders) await untilArmed(() => shop.timers.schedule('order_confirm', id, { after: 300 }))
    await confirmed(shop, 20)
    await waitUntil(() => worker.health().status === 'ok')
    assert.deepEqual(
      worker.faultsTold.filter(({ code }) => code !== 'REDIS_UNAVAILABLE'), // as a call of a loaded machine reports what took too long
      [],
    )
    await shop.close()
    await Promise.all(proxies.map((proxy) => proxy.stop()))
  })
})

/** What a worker says of partitions that nobody serves, though each node answers. */
function unserved(worker: TestWorker): string | undefined {
  return worker.health().faults.find(({ code, node }) => code === 'REDIS_UNAVAILABLE' && node === undefined)?.message
}

/** An id that is in this partition. */
function named(partition: number, keys: Keys): string {
  return Array.from({ length: 1_000 }, (_, id) => String(id)).find((id) => keys.partitionOf(id) === partition) as string
}

describe('A cluster whose nodes are known by their host names', () => {
  it('serves timers, and its faults name them so, also after a failover', async () => {
    const announced = ['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname']
    const cluster = await RedisCluster.start(announced)
    const nodes = cluster.nodes.map(({ port }) => `localhost:${port}`)
    const shop = await openShop(confirming(), { redis: { nodes, redisOptions: { family: 4 } } })
    const worker = await shop.worker({ fallback: false })
    const isWell = () => worker.health().redis?.events && worker.health().status === 'ok'
    await waitUntil(isWell, { within: 30_000 })
    const [first] = await cluster.primaries()
    await cluster.killPrimary(first!)
    assert.deepEqual([worker.faultsTold[0]?.code, worker.faultsTold[0]?.node], ['REDIS_UNAVAILABLE', `localhost:${first!.port}`])
    await waitUntil(isWell, { within: 30_000 })
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: 20 }, () => ({ status: 4 })))
    for (const { id } of orders) await untilArmed(() => shop.timers.schedule('order_confirm', id, { after: 300 }))
    await confirmed(shop, 20)
    assert.deepEqual(new Set(worker.settled.map(({ via }) => via)), new Set(['alarm']))
    await shop.close()
    await cluster.stop()
  }).timeout(90_000)
})

describe('A connection to a cluster by host names', () => {
  it('is opened again although a former connection ends while names are looked up, and not once it is closed for good', async () => {
    const cluster = await RedisCluster.start()
    let release = () => {}
    let free = Promise.resolve()
    const dnsLookup: ClusterOptions['dnsLookup'] = (_, callback) => void free.then(() => callback(null, '127.0.0.1', 4))
    const nodes = cluster.nodes.map(({ port }) => `localhost:${port}`)
    const connection = new RedisConnection(fromNodes({ nodes, dnsLookup }), 'test')
    const strikeOut = enter('a connection to a cluster', async () => connection.close())
    await connection.connected(10_000)
    const client = connection.client as unknown as Cluster
    const isWhole = () => connection.ready && client.nodes('master').every(({ status }) => status === 'ready')
    await waitUntil(isWhole)
    const [first] = (await cluster.primaries()) as [ClusterNode]
    first.server.pause() // it closes no connection
    free = new Promise((resolve) => {
      release = resolve
    })
    const looksUp = waitForEvent(client, 'connecting')
    connection.reconnect(new Error('a test'))
    await looksUp
    await waitForEvent(client, 'close')
    first.server.resume()
    release()
    await waitUntil(isWhole)
    first.server.pause()
    connection.close()
    strikeOut()
    await waitForEvent(client, 'end')
    await waitForEvent(client, 'close') // from that node
    first.server.resume()
    await holdsFor(2_000, () => client.status === 'close')
    await cluster.stop()
  }).timeout(60_000)
})

describe('A cluster with timers in partitions that nobody looks at', () => {
  it('is told so by the doctor, whose remedy has them settled once no process works with the former number', async () => {
    const cluster = await RedisCluster.start()
    const redis = { nodes: cluster.addresses }
    const shop = await openShop(confirming(), { redis })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().status === 'ok', { within: 30_000 })
    const many = webProcess(shop.database, { redis, prefix: shop.redis.prefix })
    await many.check()
    runtimeOf(many).keys.partitions = 16 // as a process does that has read another layout
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: COUNT }, () => ({ status: 4 })))
    await Promise.all(orders.map(({ id }) => untilArmed(() => many.schedule('order_confirm', id, { after: 2_000 })))) // it is closed below
    const look = async () => (await doctor(runtimeOf(shop.timers))).findings.find(({ name }) => name === 'redis.partitions')
    const finding = await look()
    assert.equal(finding?.verdict, 'wrong')
    const [, ...command] = /^(HSET) (\S+) (\S+) (\d+)$/.exec(finding.remedies.find((one) => one.in === 'redis-cli')?.text ?? '') ?? []
    assert.equal(command.at(-1), '16')
    const other = new Cluster(cluster.addresses)
    const struckOut = enter('a client of a cluster', async () => other.disconnect())
    await other.hset(command[1] as string, command[2] as string, command[3] as string)
    const restarted = webProcess(shop.database, { redis, prefix: shop.redis.prefix })
    const { code, message } = await refused(() => restarted.check())
    assert.equal(code, 'ERR_ORDER_TIMERS_REDIS_UNUSABLE')
    assert.match(message, /its index is in 16 partitions, and \S+ works with 8\); end all processes that work with another number than 16,/)
    await worker.stop()
    await Promise.all([many.close(), shop.timers.close()])
    const next = startExpiryWorker(restarted, { fallback: false })
    await confirmed(shop, COUNT, 60_000) // a process that could not say that it ended counts as alive for 45 s
    other.disconnect()
    struckOut()
    await next.stop()
    await restarted.close()
    await shop.close()
    await cluster.stop()
  }).timeout(100_000)
})

describe('A cluster whose first node is away while processes connect', () => {
  it('says later in how many partitions its index is, and all of them are served', async () => {
    const cluster = await RedisCluster.start(PATIENT)
    const redis = { nodes: cluster.addresses }
    const shop = await openShop(confirming(), { redis })
    const { keys } = runtimeOf(shop.timers)
    const [first] = (await cluster.primaries()) as [ClusterNode]
    await first.client.hset(keys.layout, 'partitions', 16)
    await first.client.wait(1, 2_000)
    first.server.pause()
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.faultsTold.some(({ code, node }) => code === 'REDIS_UNAVAILABLE' && node === `127.0.0.1:${first.port}`))
    assert.equal(keys.partitions, 8)
    first.server.resume()
    await waitUntil(() => keys.partitions === 16 && worker.health().status === 'ok', { within: 30_000 })
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: COUNT }, () => ({ status: 4 })))
    for (const { id } of orders) await untilArmed(() => shop.timers.schedule('order_confirm', id, { after: 1_000 }))
    await confirmed(shop, COUNT)
    assert.deepEqual(new Set(worker.settled.map(({ via }) => via)), new Set(['alarm']))
    await shop.close()
    await cluster.stop()
  }).timeout(90_000)
})

describe('A cluster of one shard', () => {
  it('serves timers like any other', async () => {
    const cluster = await RedisCluster.start([], { primaries: 1 })
    const shop = await openShop(confirming(), { redis: new Cluster(cluster.addresses, { lazyConnect: true }) })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events && worker.health().status === 'ok', { within: 30_000 })
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: 30 }, () => ({ status: 4 })))
    for (const { id } of orders) await untilArmed(() => shop.timers.schedule('order_confirm', id, { after: 300 }))
    await confirmed(shop, 30)
    assert.deepEqual(new Set(worker.settled.map(({ via }) => via)), new Set(['alarm']))
    await shop.close()
    await cluster.stop()
  }).timeout(60_000)

  it('is refused where its node does not know its own address, which ioredis needs, with the setting to make', async () => {
    const server = await RedisServer.startOnFreePorts(async () => ['--cluster-enabled', 'yes', '--cluster-port', `${await freePort()}`])
    const node = new Redis(server.port)
    const struckOut = enter('a client', async () => node.disconnect())
    await node.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
    const shop = await openShop(confirming(), { redis: { nodes: [`127.0.0.1:${server.port}`] } })
    const { code, message } = await refused(() => shop.timers.check())
    assert.equal(code, 'ERR_ORDER_TIMERS_REDIS_UNUSABLE')
    assert.match(message, /CLUSTER SLOTS has no address for the node that serves its slots\); set cluster-announce-ip in its redis\.conf$/)
    await node.config('SET', 'cluster-announce-ip', '127.0.0.1')
    const serves = async () => !(await shop.timers.check().catch((error) => error))
    await waitUntil(serves, { within: 30_000 })
    node.disconnect()
    struckOut()
    await shop.close()
    await server.stop()
  }).timeout(60_000)
})

describe('Nodes of a cluster', () => {
  /** What a shop is told from the first answer on, while the servers refuse it: the first error, what `status` says, and the worker's faults. */
  const told = async (redis: object) => {
    const shop = await openShop(confirming(), { redis: redis as never })
    const first = await refused(() => shop.timers.check())
    const { troubles } = await status(runtimeOf(shop.timers))
    const worker = await shop.worker({ fallback: false })
    const over: string[] = []
    worker.on('recovered', ({ code }) => over.push(code))
    await waitUntil(() => worker.faultsTold.length > 0)
    // The client connects at least every half second, and is refused each time.
    await holdsFor(3_000, () => over.length === 0 && worker.faultsTold.length === 1)
    const [fault] = worker.faultsTold
    await shop.close()
    return { first, problem: troubles[0], fault }
  }

  it('that refuse the user say so in the first answer, in status, and once in a fault that lasts', async () => {
    const cluster = await RedisCluster.start([], { primaries: 1 })
    const { first, problem, fault } = await told({ nodes: cluster.addresses, redisOptions: { username: 'nobody', password: 'wrong' } })
    for (const code of [first.code.replace('ERR_ORDER_TIMERS_', ''), fault?.code]) assert.equal(code, 'REDIS_REFUSES')
    for (const { message } of [first, problem!, fault!]) assert.match(message, /WRONGPASS/)
    await cluster.stop()
  }).timeout(60_000)

  it('that are a single server are refused with the form to give it in', async () => {
    const server = await RedisServer.start()
    const { first, problem, fault } = await told({ nodes: [{ host: '127.0.0.1', port: server.port }] })
    for (const code of [first.code.replace('ERR_ORDER_TIMERS_', ''), fault?.code]) assert.equal(code, 'REDIS_UNUSABLE')
    for (const message of [first.message, problem!.message])
      assert.match(message, /cluster support disabled\); this is no cluster; give it as one server: redis: "redis:\/\/host:port"$/)
    await server.stop()
  }).timeout(60_000)
})
