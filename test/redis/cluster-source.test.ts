import assert from 'node:assert/strict'
import { Cluster } from 'ioredis'
import { Cluster as OldCluster } from 'ioredis-oldest'
import { type ClusterClient, fromCluster, fromNodes, isCluster, type RedisNodes } from '../../lib/redis/cluster-source.js'
import { OURS, OURS_IN_CLUSTER } from '../../lib/redis/own-options.js'
import type { RedisSource } from '../../lib/redis/single-source.js'
import { refused } from '../support/refused.js'

const NODES = [{ host: 'redis-1', port: 7001 }, 'redis-2:7002', 7003]

/** The cluster's client that a source makes, which is never opened. */
function made(source: RedisSource): Cluster {
  const client = source.create('ours') as unknown as Cluster
  client.disconnect()
  return client
}

describe('A Redis Cluster', () => {
  it('is taken by addresses of nodes, in any form that one server has', () => {
    const source = fromNodes({ nodes: NODES, redisOptions: { username: 'shop', keyPrefix: 'our:' } })
    assert.deepEqual(
      [source.topology, source.db, source.user, source.keyPrefix, source.describe()],
      ['cluster', 0, 'shop', 'our:', 'cluster redis-1:7001, redis-2:7002, 127.0.0.1:7003'],
    )
    const more = fromNodes({ nodes: ['redis://u:geheim@a:1', 'b:2', 'c:3', 'd:4'] })
    assert.equal(more.describe(), 'cluster a:1, b:2, c:3, …')
    assert.deepEqual([made(more).options.redisOptions?.password, more.user], ['geheim', 'u'])
    const alike = fromNodes({ nodes: ['rediss://:geheim@a:1/0', 'b:2', 'rediss://:geheim@c:3/0'], redisOptions: { password: 'geheim' } })
    assert.deepEqual(made(alike).options.redisOptions?.tls, {})
  })

  for (const [copy, Class] of Object.entries({ ioredis: Cluster, 'another copy of ioredis': OldCluster })) {
    it(`is taken as a client of ${copy}, which is duplicated with the options that promises rest on`, () => {
      const theirs = new Class([{ host: 'redis-1', port: 7001 }], {
        lazyConnect: true,
        enableOfflineQueue: true,
        scaleReads: 'slave',
        keyPrefix: 'our:',
        redisOptions: { password: 'geheim', maxRetriesPerRequest: 20, commandTimeout: 5 },
      })
      assert.equal(isCluster(theirs), true)
      const source = fromCluster(theirs as unknown as ClusterClient)
      const ours = made(source)
      assert.ok(ours instanceof Class && ours !== (theirs as unknown))
      const { enableOfflineQueue, scaleReads, keyPrefix, redisOptions } = ours.options
      assert.deepEqual([enableOfflineQueue, scaleReads, keyPrefix], [false, 'master', ''])
      const { password, maxRetriesPerRequest, commandTimeout, connectionName } = redisOptions ?? {}
      assert.deepEqual([password, maxRetriesPerRequest, commandTimeout, connectionName], ['geheim', 0, null, 'ours'])
      assert.deepEqual([source.keyPrefix, source.describe()], ['our:', 'cluster redis-1:7001'])
      assert.equal(theirs.status, 'wait')
      theirs.disconnect()
    })
  }

  for (const [copy, Class] of Object.entries({ ioredis: Cluster, 'another copy of ioredis': OldCluster })) {
    it(`keeps none of its own options that promises rest on, as a client of ${copy}`, () => {
      const another = (value: unknown) => {
        if (typeof value === 'number') return value + 1
        if (typeof value === 'boolean') return !value
        return typeof value === 'function' || value === null ? () => 1 : value
      }
      const others = (ours: object) => Object.fromEntries(Object.entries(ours).map(([name, value]) => [name, another(value)]))
      const { lazyConnect: _, shardedSubscribers: __, ...ofCluster } = OURS_IN_CLUSTER
      const theirs = new Class([{ host: 'redis-1', port: 7001 }], {
        ...{ ...others(ofCluster), lazyConnect: true, scaleReads: 'slave', keyPrefix: 'our:' },
        redisOptions: { ...others(OURS), keyPrefix: 'our:', role: 'slave', lazyConnect: false },
      } as object)
      const { redisOptions, ...options } = made(fromCluster(theirs as unknown as ClusterClient)).options as unknown as Record<
        string,
        unknown
      >
      theirs.disconnect()
      const given = (name: string, taken: Record<string, unknown>, value: unknown) => assert.deepEqual(taken[name], value, name)
      for (const [name, value] of Object.entries(ofCluster)) given(name, options, value)
      for (const [name, value] of Object.entries(OURS)) given(name, redisOptions as Record<string, unknown>, value)
    })
  }

  const refusals: [given: object, why: RegExp][] = [
    [{ nodes: [] }, /addresses of some nodes as "nodes"/],
    [{ nodes: 'a:1,b:2' }, /addresses of some nodes as "nodes"/],
    [{ nodes: [null] }, /has null among its "nodes"/],
    [{ nodes: NODES, sentinels: [{ host: 'a' }] }, /has "nodes", which are a cluster's, and "sentinels"/],
    [{ nodes: NODES, host: 'a' }, /and "host", which is of one server/],
    [{ nodes: NODES, password: 'geheim' }, /has "password" beside "nodes", where ioredis ignores it; give it in "redisOptions"/],
    [{ nodes: NODES, redisOptions: { db: 1 } }, /names db 1, and a cluster has db 0 alone; use "prefix"/],
    [{ nodes: ['redis://a:1/2'] }, /names db 2/],
    [{ nodes: NODES, keyPrefix: '{shop}:' }, /braces would put all keys on one node/],
    [{ nodes: NODES, keyPrefix: 7 }, /text as "keyPrefix"/],
    [{ nodes: ['a:1', 'redis://u:geheim@b:2'] }, /has "username" of its own for b:2, .* give it in "redisOptions"/],
    [{ nodes: ['redis://:geheim@a:1', 'redis://:geheim2@b:2'] }, /has "password" of its own for b:2/],
    [{ nodes: ['redis://a:1', 'rediss://b:2'] }, /has "tls" of its own for b:2/],
    [{ nodes: ['redis://a:1', 'redis://b:2/3'] }, /has "db" of its own for b:2/],
    [{ nodes: [{ host: 'a', port: 70_000 }] }, /a port from 1 to 65535/],
  ]
  for (const [given, why] of refusals) {
    it(`is refused as ${JSON.stringify(given)}, with the remedy and without the password`, async () => {
      const { code, message } = await refused(() => fromNodes(given as RedisNodes))
      assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
      assert.match(message, /^orderTimers: "redis" /)
      assert.match(message, why)
      assert.doesNotMatch(message, /geheim/)
    })
  }
})
