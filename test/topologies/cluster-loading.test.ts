// A primary of a cluster that loads its data: it answers INFO, and no command for keys. Only its own share waits, also for processes that start meanwhile.

import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import { Keys } from '../../lib/keys.js'
import { fromNodes } from '../../lib/redis/cluster-source.js'
import { RedisConnection } from '../../lib/redis/connection.js'
import { assertUsable } from '../../lib/redis/server.js'
import { slotOf } from '../../lib/slots.js'
import { enter } from '../support/opened.js'
import { type ClusterNode, RedisCluster, type Slots } from '../support/redis-cluster.js'
import { inTime, waitUntil } from '../support/waiting.js'

/** No node fails over, and one that loads looks at its connections once a key. */
const ARGS = [
  ...['--cluster-node-timeout', '600000', '--loading-process-events-interval-bytes', '1024'],
  ...['--rdbcompression', 'no', '--rdbchecksum', 'no'],
]

/** How long one key takes to load, in microseconds, and how many keys there are: longer than any test here. */
const KEY_LOAD_DELAY = '200000'
const KEYS = 400

interface Pool {
  getSampleInstance(role: string): Redis | undefined
  getInstanceByKey(address: string): Redis | undefined
}

describe('A primary of a cluster that loads its data', function () {
  this.timeout(90_000)
  const prefix = 'shop:'
  const opened: (() => void)[] = []
  let cluster: RedisCluster
  let loading: ClusterNode
  let other: ClusterNode
  /** A key that the other has. */
  let name: string

  before(async () => {
    const { layout } = new Keys(prefix, true)
    cluster = await RedisCluster.start(ARGS)
    loading = await cluster.ownerOf(slotOf(layout))
    other = (await cluster.primaries()).find((node) => node !== loading) as ClusterNode
    name = await nameOn(other)
    const tag = await nameOn(loading)
    for (let i = 0; i < KEYS; i += 1) await loading.client.set(`{${tag}}:${i}`, 'x'.repeat(2_048))
    await loading.client.hset(layout, 'partitions', 16)
    await loading.client.save()
    await loading.server.restart([...loading.server.args, '--key-load-delay', KEY_LOAD_DELAY], /Loading RDB/)
    await waitUntil(isLoading)
  })

  afterEach(() => {
    for (const close of opened.splice(0)) close()
  })

  after(() => cluster.stop())

  /** What the loading node itself answers. */
  const asked = async <T>(ask: (client: Redis) => Promise<T>): Promise<T> => {
    const client = new Redis({ port: loading.port, enableReadyCheck: false, retryStrategy: () => null })
    client.on('error', () => {})
    try {
      return await ask(client)
    } finally {
      client.disconnect()
    }
  }

  const isLoading = async () => (await asked((client) => client.info('persistence'))).includes('loading:1')

  /** A name whose slot this node serves. */
  const nameOn = async (node: ClusterNode) => {
    const isIn = (slots: Slots[], slot: number) => slots.some(([first, last]) => first <= slot && slot <= last)
    const slots = await cluster.slotsOf(node)
    return Array.from({ length: 1_000 }, (_, i) => `name${i}`).find((name) => isIn(slots, slotOf(name))) as string
  }

  /** A connection whose client asks this node first whether the cluster is well; it chooses any otherwise. */
  const connect = (checks: ClusterNode, keys?: Keys) => {
    const connection = new RedisConnection(fromNodes({ nodes: cluster.addresses }), 'test', keys)
    const strikeOut = enter('a connection to a cluster', async () => connection.close())
    opened.push(() => {
      connection.close()
      strikeOut()
    })
    const { connectionPool: pool } = connection.client as unknown as { connectionPool: Pool }
    const sample = pool.getSampleInstance.bind(pool)
    pool.getSampleInstance = (role) => {
      pool.getSampleInstance = sample
      return pool.getInstanceByKey(`127.0.0.1:${checks.port}`) ?? sample(role)
    }
    connection.open()
    return connection
  }

  it('keeps no process from the others whose client asks it first whether the cluster is well', async () => {
    const connection = connect(loading)
    await waitUntil(() => connection.ready, { within: 40_000 }) // after that the node is chosen by chance
    await connection.run(2_000, (client) => client.set(name, '1'))
    assert.ok(await isLoading())
  })

  it('is not waited for where every primary is asked', async () => {
    const connection = connect(other)
    const first = await new Promise((resolve) => {
      // The client does not connect to its nodes earlier.
      connection.client.once('ready', () => assertUsable(connection).then(resolve, resolve))
    })
    assert.match(String(first), new RegExp(`127\\.0\\.0\\.1:${loading.port} did not answer in`))
    await inTime(assertUsable(connection), 2_000, 'the answers of all') // it is connected, and INFO is answered
    assert.ok(await isLoading())
  })

  it('keeps no process from the others although it has the number of partitions, which is read later', async () => {
    const keys = new Keys(prefix, true)
    const connection = connect(other, keys)
    await waitUntil(() => connection.ready)
    await connection.run(2_000, (client) => client.set(name, '1'))
    assert.deepEqual([await isLoading(), keys.partitions, keys.agreed], [true, 8, undefined])
    await asked((client) => client.config('SET', 'key-load-delay', 0))
    await waitUntil(() => keys.agreed === 16, { within: 30_000 })
    assert.equal(connection.ready, true)
  })
})
