// A cluster: three primaries with a replica each, and one more primary, which slots may move to. Hosts reach the nodes by their links alone.

import type { Redis } from 'ioredis'
import { Keys } from '../../lib/keys.js'
import { slotOf } from '../../lib/slots.js'
import { type ClusterNode, RedisCluster } from '../../test/support/redis-cluster.js'
import type { RedisServer } from '../../test/support/redis-server.js'
import { at, type ClusterAddress, clientOf, natMap } from '../redis-address.js'
import { type Failovers, GIVES_UP, type RedisSite, WELL } from './redis-site.js'

/** So many slots move at once, that of a partition of the index among them. */
const MOVED = 20

export class ClusterRedis implements RedisSite {
  readonly topology = 'cluster'
  readonly ports: readonly number[]
  readonly servers: readonly RedisServer[]

  private constructor(private readonly cluster: RedisCluster) {
    this.ports = cluster.nodes.map(({ port }) => port)
    this.servers = cluster.nodes.map(({ server }) => server)
  }

  static async open(): Promise<ClusterRedis> {
    const cluster = await RedisCluster.start()
    await cluster.addNode()
    return new ClusterRedis(cluster)
  }

  addressBy(links: readonly number[]): ClusterAddress {
    return { nodes: links.map(at), natMap: natMap(this.ports, links) }
  }

  async primaries(): Promise<readonly RedisServer[]> {
    return (await this.cluster.primaries()).map(({ server }) => server)
  }

  async connect(): Promise<Redis> {
    return clientOf({ nodes: this.cluster.addresses }, GIVES_UP as never)
  }

  readonly failovers: Failovers = {
    candidates: async () => (await this.cluster.replicated()).map(({ server }) => server),
    kill: async (primary) => void (await this.cluster.killPrimary(this.nodeOf(primary))),
    revive: (server) => this.cluster.revive(this.nodeOf(server)),
    freeze: async (primary) => void (await this.cluster.freezePrimary(this.nodeOf(primary))),
    thaw: async (server) => {
      const node = this.nodeOf(server)
      await this.cluster.thaw(node)
      await node.client.config('SET', ...WELL)
    },
    byCommand: async (primary) => void (await this.cluster.failOver(this.nodeOf(primary))),
  }

  readonly slots = {
    /** Moves slots of a partition to another primary, or to the node that has none. @returns how many */
    move: async (random: () => number): Promise<number> => {
      const keys = new Keys('', true)
      const partition = Math.floor(random() * keys.partitions)
      const slot = slotOf(keys.sets('any', partition).due)
      const from = await this.cluster.ownerOf(slot)
      const spare = this.cluster.nodes.at(-1) as ClusterNode
      const others = [...new Set([...(await this.cluster.primaries()), spare])].filter((node) => node !== from)
      const to = others[Math.floor(random() * others.length)] as ClusterNode
      const owned = await this.cluster.slotsOf(from)
      const [least, most] = owned.find(([first, last]) => first <= slot && slot <= last) as [number, number]
      const [first, last] = [Math.max(least, slot - MOVED / 2), Math.min(most, slot + MOVED / 2)]
      await this.cluster.moveSlots(from, to, [first, last])
      return last - first + 1
    },
  }

  stop(): Promise<void> {
    return this.cluster.stop()
  }

  private nodeOf(server: RedisServer): ClusterNode {
    return this.cluster.nodes.find((node) => node.server === server) as ClusterNode
  }
}
