// What a removed rule has left in a Redis Cluster, on all primaries, also in partitions that no process uses any more.

import assert from 'node:assert/strict'
import { Cluster } from 'ioredis'
import { pruneRedisAct } from '../../lib/admin/actions/prune-redis.js'
import { doctor } from '../../lib/admin/doctor/doctor.js'
import { Keys } from '../../lib/keys.js'
import { tagOf } from '../../lib/slots.js'
import { createActionsTable } from '../admin/actions/acting.js'
import { confirming } from '../faults/confirming.js'
import { enter } from '../support/opened.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

describe('What a removed rule has left in a cluster', function () {
  this.timeout(60_000)
  let cluster: RedisCluster

  before(async () => {
    cluster = await RedisCluster.start()
  })
  after(() => cluster.stop())

  it('is found by the doctor and removed on all primaries, and no key of another service', async () => {
    const redis = { nodes: cluster.addresses }
    const shop = await openShop(confirming(), { redis })
    await createActionsTable(shop.database)
    const runtime = runtimeOf(shop.timers)
    const client = new Cluster(cluster.addresses)
    const struckOut = enter('a client of a cluster', async () => client.disconnect())
    const former = makeTimers({ order_former: () => {} }, { redis, prefix: shop.redis.prefix })
    for (let id = 1; id <= 40; id += 1) await waitUntil(() => former.schedule('order_former', id, { after: '1h' }))
    await former.close()
    const keys = new Keys(shop.redis.prefix, true)
    await client.zadd(keys.setsAt(tagOf(1, 64), 'order_former').due, Date.now() + 3_600_000, '41')
    await client.set(keys.timer('order_former', '41'), '1', 'EX', 3_600)
    await client.set(keys.timer('order_former', '9999'), '1', 'EX', 3_600)
    const names = async () => {
      const lists = await Promise.all((await cluster.primaries()).map((node) => node.client.keys(`${shop.redis.prefix}*`)))
      return lists.flat().filter((name) => name.includes('order_former'))
    }
    const finding = async () => {
      const { findings } = await doctor(runtime)
      return findings.find(({ name }) => name === 'redis.left-kinds')
    }
    assert.ok((await names()).length > 40 + 8)
    assert.equal((await finding())?.found, 'timers: 41, dead letters: 0 (perhaps only in Redis)')
    const [removed] = await pruneRedisAct(runtime, { kinds: ['order_former'], dropTimers: true }, { user: 'test', via: 'command' })
    assert.equal(removed?.armed, 41)
    assert.deepEqual(await names(), [keys.timer('order_former', '9999')])
    assert.equal((await finding())?.verdict, 'fine')
    client.disconnect()
    struckOut()
    await shop.close()
  })
})
