// Commands of one turn in one message to each node of a cluster: whatever becomes of a node, each command gets its own answer.

import assert from 'node:assert/strict'
import type { Cluster } from 'ioredis'
import { Keys } from '../../lib/keys.js'
import { fromNodes } from '../../lib/redis/cluster-source.js'
import { RedisConnection } from '../../lib/redis/connection.js'
import { NodeBatches } from '../../lib/redis/node-batches.js'
import { scripts } from '../../lib/redis/script-calls.js'
import { sentBy } from '../../lib/redis/send-limits.js'
import { slotOf } from '../../lib/slots.js'
import { type ClusterNode, RedisCluster } from '../support/redis-cluster.js'
import { waitUntil } from '../support/waiting.js'

const ROUNDS = 200
const DEADLINE = Date.UTC(2100, 0)

describe('The commands of one turn, in a cluster', function () {
  this.timeout(60_000)
  let cluster: RedisCluster
  let connection: RedisConnection
  let client: Cluster

  beforeEach(async () => {
    cluster = await RedisCluster.start()
    connection = new RedisConnection(fromNodes({ nodes: cluster.addresses }), 'test', new Keys('shop:', true))
    await connection.connected(10_000)
    client = connection.client as unknown as Cluster
  })

  afterEach(async () => {
    connection.close()
    await cluster.stop()
  })

  const connectionTo = ({ port }: ClusterNode) => client.nodes('all').find(({ options }) => options.port === port)

  /** Names of keys whose slots a node serves. */
  const keysOn = async (node: ClusterNode, count: number) => {
    const slots = await cluster.slotsOf(node)
    const all = Array.from({ length: 40 * count }, (_, i) => `key:${i}`)
    return all.filter((key) => slots.some(([first, last]) => first <= slotOf(key) && slotOf(key) <= last)).slice(0, count)
  }

  it('get their own answers while one node is gone and the connection to another is still being made', async () => {
    const [gone, silent, well] = (await cluster.primaries()) as [ClusterNode, ClusterNode, ClusterNode]
    const [lost, kept] = [await keysOn(gone, 3), await keysOn(well, 20)]
    for (const key of kept) await client.set(key, key)
    silent.server.pause()
    connectionTo(silent)?.disconnect()
    await gone.server.kill()
    await waitUntil(() => ![gone, silent].some((node) => connectionTo(node)?.status === 'ready'), { what: 'both connections to be lost' })
    client.refreshSlotsCache()
    await waitUntil(() => connectionTo(silent)?.status.startsWith('connect'), { what: 'a new connection to the one that does not answer' })
    const batches = new NodeBatches()
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const key of lost) batches.add(connection.client, key, (to) => to.set(key, 'x')).catch(() => {}) // nobody serves them now
      const key = kept[round % kept.length] as string
      assert.equal(await client.get(key), key)
    }
    silent.server.resume()
  })

  it('are answered although their slots have moved, and although the node has forgotten the scripts', async () => {
    const [from, to] = (await cluster.primaries()) as [ClusterNode, ClusterNode]
    const keys = await keysOn(from, 20)
    const batches = new NodeBatches()
    const setAndLook = async () => {
      await Promise.all(keys.map((key) => batches.add(connection.client, key, (sender) => sender.set(key, key, 'PXAT', DEADLINE))))
      const look = keys.map((key) => batches.add(connection.client, key, (sender) => scripts(sender).orderTimersKeyExpires(key)))
      for (const expiry of await Promise.all(look)) assert.ok(Math.abs(Number(expiry) - DEADLINE) < 1_000, String(expiry))
    }
    await setAndLook()
    await from.client.script('FLUSH')
    await setAndLook()
    for (const key of keys) await cluster.moveSlots(from, to, [slotOf(key), slotOf(key)])
    await setAndLook()
    assert.deepEqual(await Promise.all(keys.map((key) => to.client.get(key))), keys)
  })

  it('are not sent to the successor of their node once their callers have gone on', async () => {
    const [silent] = (await cluster.primaries()) as [ClusterNode]
    const [late] = (await keysOn(silent, 1)) as [string]
    silent.server.pause()
    connectionTo(silent)?.disconnect()
    await waitUntil(() => connectionTo(silent) === undefined, { what: 'the connection to be closed' })
    const set = () => new NodeBatches().add(connection.client, late, (to) => to.set(late, 'x'))
    const answer = sentBy(performance.now() + 100, set).then(String, String)
    const successor = await cluster.freezePrimary(silent)
    await cluster.thaw(silent)
    assert.match(await answer, /in time|Error: Connection is closed/)
    assert.deepEqual(await successor.client.mget(late), [null])
  })

  it('fail one by one where the node that a slot is moving to has gone', async () => {
    const [from, gone] = (await cluster.primaries()) as [ClusterNode, ClusterNode]
    const [key] = (await keysOn(from, 1)) as [string]
    await gone.client.call('CLUSTER', 'SETSLOT', slotOf(key), 'IMPORTING', from.id)
    await from.client.call('CLUSTER', 'SETSLOT', slotOf(key), 'MIGRATING', gone.id)
    await gone.server.kill()
    const batches = new NodeBatches()
    const once = () => batches.add(connection.client, key, (to) => to.set(key, 'x'))
    for (let round = 0; round < 3; round += 1) await assert.rejects(once()) // and ioredis's own ASKING, which nobody awaits, ends no process
    await from.client.call('CLUSTER', 'SETSLOT', slotOf(key), 'STABLE')
    assert.equal(await once(), 'OK')
  })
})
