// The primaries of a cluster: the nodes that serve slots, as far as the cluster's client knows. Nodes are added, removed and promoted; listeners
// learn of each change.

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
  /** A hash tag whose keys are on this node. */
  tag: string
}

/** The same, as a worker has it. */
export interface Primary extends NodeOfCluster {
  /** The first partition of the index on this node, which has this tag; undefined if there is none. */
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
    private readonly keys: Pick<Keys, 'partitions' | 'onPartitions'>,
  ) {
    this.cluster = asCluster(connection.client)
  }

  start(listeners: PrimariesListeners): void {
    const look = () => this.look(listeners)
    for (const event of ['refresh', 'ready']) this.cluster.on(event, look)
    const unlisten = this.keys.onPartitions(look)
    this.endListening = () => {
      unlisten()
      for (const event of ['refresh', 'ready']) this.cluster.off(event, look)
    }
    look()
  }

  stop(): void {
    this.endListening()
  }

  /** Makes the client ask the cluster again: a slot has moved. */
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
        if (!client) continue // it has left, or is not known yet: another check follows
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

/** The known primaries of a cluster; none for one server. */
export function primariesNow(client: Redis): NodeOfCluster[] {
  if (!isClusters(client)) return []
  const cluster = asCluster(client)
  return [...servingNow(cluster)].flatMap(([address, slots]) => {
    const own = connectionTo(cluster, address)
    return own ? [{ address, source: fromNode(own), tag: tagIn(slots) }] : []
  })
}

/** The clients for each server: in a cluster those of its primaries, otherwise the only one. */
export function serversOf(client: Redis): Redis[] {
  return isClusters(client) ? asCluster(client).nodes('master') : [client]
}

/** The options of each connection to a server. */
export function optionsOfEach(client: Redis): RedisOptions {
  return { ...client.options, ...asCluster(client).options.redisOptions }
}

/** The addresses of all known nodes of a cluster; none for one server. */
export function addressesOf(client: Redis): string[] {
  return isClusters(client)
    ? asCluster(client)
        .nodes('all')
        .map(({ options }) => `${options.host}:${options.port}`)
    : []
}

/** The node of a cluster that serves a key, if it is known; undefined for one server. */
export function servedBy(client: Redis, key: string): string | undefined {
  return isClusters(client) ? asCluster(client).slots[slotOf(key)]?.[0] : undefined
}

/** The connection to a node of a cluster, if it is open; undefined for one server. */
export function openTo(client: Redis, address: string | undefined): Redis | undefined {
  const connection = isClusters(client) && address !== undefined ? connectionTo(asCluster(client), address) : undefined
  return connection?.status === 'ready' ? connection : undefined
}

/** Primaries of a cluster without a connection: their slots are not served until a replica takes over. */
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

/** Where a worker keeps what concerns the whole node: in the slot of the first partition there, or in any of its slots. */
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
