// Redis Cluster: what the tests' own cluster of six nodes does, and what a shop on it sees.

import assert from 'node:assert/strict'
import { Cluster } from 'ioredis'
import { enter } from '../support/opened.js'
import { RedisCluster } from '../support/redis-cluster.js'

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
