// The primaries of a cluster: which nodes serve slots, as far as the cluster's client knows. Nodes come, go and are promoted; whoever has something
// of its own on each of them is told.

import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { Keys } from '../keys.js'
import { SLOTS, slotOf, tagIn, tagOf } from '../slots.js'
import { fromNode } from './cluster-source.js'
import type { RedisConnection } from './connection.js'
import type { RedisSource } from './single-source.js'

/** A node that serves slots. */
export interface NodeOfCluster {
  /** Host and port. */
  address: string
  source: RedisSource
  /** A hash tag: keys with it lie on this node. */
  tag: string
}

/** The same, as a worker has it. */
export interface Primary extends NodeOfCluster {
  /** The first partition of the index that lies on this node, whose tag that is then; undefined where it has none. */
  partition: number | undefined
}

export interface PrimariesListeners {
  onAdded(primary: Primary): void
  onRemoved(primary: Primary): void
  /** Its tag has changed, since slots have moved. */
  onMoved(primary: Primary): void
}

export class Primaries {
  private readonly known = new Map<string, Primary>()
  private readonly cluster: Cluster
  private endListening = () => {}

  constructor(
    connection: RedisConnection,
    private readonly keys: Pick<Keys, 'partitions'>,
  ) {
    this.cluster = asCluster(connection.client)
  }

  start(listeners: PrimariesListeners): void {
    const look = () => this.look(listeners)
    for (const event of ['refresh', 'ready']) this.cluster.on(event, look)
    this.endListening = () => {
      for (const event of ['refresh', 'ready']) this.cluster.off(event, look)
    }
    look()
  }

  stop(): void {
    this.endListening()
  }

  /** Has the client ask the cluster again: something does not lie where it was. */
  askAgain(): void {
    if (this.cluster.status === 'ready') this.cluster.refreshSlotsCache()
  }

  private look({ onAdded, onRemoved, onMoved }: PrimariesListeners): void {
    const serving = servingNow(this.cluster)
    if (serving.size === 0) return // not connected: nothing is known
    for (const [address, primary] of this.known) {
      if (serving.has(address)) continue
      this.known.delete(address)
      onRemoved(primary)
    }
    for (const [address, slots] of serving) {
      const known = this.known.get(address)
      if (!known) {
        const client = connectionTo(this.cluster, address)
        if (!client) continue // it has gone already, or is not known yet: another look follows
        const primary = { address, source: fromNode(client), ...placeIn(slots, this.keys) }
        this.known.set(address, primary)
        onAdded(primary)
        continue
      }
      const { tag, partition } = placeIn(slots, this.keys)
      if (partition === known.partition && slots.has(slotOf(known.tag))) continue
      Object.assign(known, { tag, partition })
      onMoved(known)
    }
  }
}

/** The primaries of a cluster that are known now; none of one server. */
export function primariesNow(client: Redis): NodeOfCluster[] {
  if (!isClusters(client)) return []
  const cluster = asCluster(client)
  return [...servingNow(cluster)].flatMap(([address, slots]) => {
    const own = connectionTo(cluster, address)
    return own ? [{ address, source: fromNode(own), tag: tagIn(slots) }] : []
  })
}

/** The clients of each server: of a cluster those of its primaries, of one server its own. */
export function serversOf(client: Redis): Redis[] {
  return isClusters(client) ? asCluster(client).nodes('master') : [client]
}

/** The options of each connection to a server. */
export function optionsOfEach(client: Redis): RedisOptions {
  return { ...client.options, ...asCluster(client).options.redisOptions }
}

/** The addresses of all nodes of a cluster that are known now; none of one server. */
export function addressesOf(client: Redis): string[] {
  return isClusters(client)
    ? asCluster(client)
        .nodes('all')
        .map(({ options }) => `${options.host}:${options.port}`)
    : []
}

/** Which of a cluster's nodes serves a key, as far as is known; undefined of one server. */
export function servedBy(client: Redis, key: string): string | undefined {
  return isClusters(client) ? asCluster(client).slots[slotOf(key)]?.[0] : undefined
}

/** Which of a cluster's primaries there is no connection to: its slots are not served until a replica takes over. */
export function missingIn(client: Redis): string[] {
  if (!isClusters(client)) return []
  const cluster = asCluster(client)
  return [...servingNow(cluster).keys()].filter((address) => {
    const status = connectionTo(cluster, address)?.status
    return status === undefined || status === 'close' || status === 'end'
  })
}

function isClusters(client: Redis): boolean {
  return (client as { isCluster?: boolean }).isCluster === true
}

function asCluster(client: Redis): Cluster {
  return client as unknown as Cluster
}

/** Where a worker has what concerns the node as a whole: beside the first partition of the index there, or anywhere. */
function placeIn(slots: ReadonlySet<number>, { partitions }: Pick<Keys, 'partitions'>): Pick<Primary, 'tag' | 'partition'> {
  for (let partition = 0; partition < partitions; partition += 1) {
    const tag = tagOf(partition, partitions)
    if (slots.has(slotOf(tag))) return { tag, partition }
  }
  return { tag: tagIn(slots), partition: undefined }
}

/** By address, the slots that each primary serves. */
function servingNow({ slots }: Cluster): Map<string, Set<number>> {
  const serving = new Map<string, Set<number>>()
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const address = slots[slot]?.[0]
    if (address === undefined) continue
    const ofNode = serving.get(address) ?? new Set()
    serving.set(address, ofNode)
    ofNode.add(slot)
  }
  return serving
}

function connectionTo(cluster: Cluster, address: string): Redis | undefined {
  return cluster.nodes('all').find(({ options }) => `${options.host}:${options.port}` === address)
}
