// A Redis Cluster of a test's own on loopback: three primaries and a replica of each, on free ports. Primaries can be killed, slots moved and
// nodes added while it runs. The nodes take two seconds of silence for a death.

import { Redis } from 'ioredis'
import { freePort } from './free-port.js'
import { enter } from './opened.js'
import { RedisServer } from './redis-server.js'
import { waitUntil } from './waiting.js'

const SLOTS = 16_384
const PRIMARIES = 3
const NODE_TIMEOUT_MS = 2_000

/** A failover takes a few seconds, and more on a busy machine. */
const FAILOVER = { within: 30_000, every: 50 }

/** A range of slots, both ends included. */
export type Slots = readonly [first: number, last: number]

export interface ClusterNode {
  readonly server: RedisServer
  /** The name that the cluster has for it. */
  readonly id: string
  readonly port: number
  /** A client of this node alone; `stop` closes it. */
  readonly client: Redis
}

/** What the cluster says of a node. */
interface NodeLine {
  id: string
  port: number
  flags: string[]
  primary: string | undefined
  linked: boolean
  slots: Slots[]
}

export class RedisCluster {
  /** All that were ever started; a killed one stays in the list. */
  readonly nodes: ClusterNode[] = []
  private readonly struckOut = enter('a Redis Cluster', () => this.stop())

  private constructor(private readonly args: string[]) {}

  /** Resolves when all slots are served and each primary has its replica. Arguments are redis-server's own, for each node. */
  static async start(args: string[] = [], { primaries: count = PRIMARIES } = {}): Promise<RedisCluster> {
    const cluster = new RedisCluster(args)
    await Promise.all(Array.from({ length: 2 * count }, () => cluster.startNode()))
    const [first, ...others] = cluster.nodes as [ClusterNode, ...ClusterNode[]]
    // Each epoch is set by hand: nodes with the same one would argue first about which is the newer.
    await Promise.all(cluster.nodes.map((node, i) => node.client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)))
    const primaries = cluster.nodes.slice(0, count)
    await Promise.all(primaries.map((node, i) => node.client.call('CLUSTER', 'ADDSLOTSRANGE', ...share(i, count))))
    await Promise.all(others.map((node) => cluster.meet(node, first)))
    await cluster.knowEachOther()
    await Promise.all(cluster.nodes.slice(count).map((node, i) => node.client.call('CLUSTER', 'REPLICATE', primaries[i]!.id)))
    await cluster.isWhole()
    const replicas = cluster.nodes.slice(count)
    await waitUntil(async () => (await Promise.all(replicas.map(isLinked))).every(Boolean), { ...FAILOVER, what: 'the replicas to follow' })
    return cluster
  }

  /** The addresses of its nodes, as a shop gives them. */
  get addresses(): { host: string; port: number }[] {
    return this.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  }

  /** The primaries that serve slots now, by what a running node says. */
  async primaries(): Promise<ClusterNode[]> {
    const lines = await this.look()
    const serving = lines.filter(({ flags, slots }) => flags.includes('master') && !flags.includes('fail') && slots.length > 0)
    return this.nodes.filter(({ id }) => serving.some((line) => line.id === id))
  }

  /** The primary of this slot. */
  async ownerOf(slot: number): Promise<ClusterNode> {
    const lines = await this.look()
    const owner = lines.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last))
    return this.node(owner?.id)
  }

  /** The primaries whose replica follows and could take over. */
  async replicated(): Promise<ClusterNode[]> {
    const lines = await this.look()
    const followed = new Set(lines.filter(({ flags, linked }) => linked && !/fail/.test(String(flags))).map(({ primary }) => primary))
    return (await this.primaries()).filter(({ id }) => followed.has(id))
  }

  /** Kills a primary by SIGKILL. @returns the replica that took over, once all slots are served again */
  killPrimary(primary: ClusterNode): Promise<ClusterNode> {
    return this.takeOver(primary, () => primary.server.kill())
  }

  /** Stops a primary by SIGSTOP. @returns as `killPrimary` does */
  freezePrimary(primary: ClusterNode): Promise<ClusterNode> {
    return this.takeOver(primary, async () => primary.server.pause())
  }

  /** Lets a stopped node go on, as a replica of whoever has its slots now. */
  async thaw(node: ClusterNode): Promise<void> {
    node.server.resume()
    await waitUntil(() => isLinked(node), { ...FAILOVER, what: 'the node to follow its successor' })
  }

  private async takeOver(primary: ClusterNode, strike: () => Promise<void>): Promise<ClusterNode> {
    const slots = (await this.look()).find(({ id }) => id === primary.id)?.slots[0]
    if (!slots) throw new Error(`the node on port ${primary.port} serves no slots`)
    await strike()
    const successor = async () => {
      const owner = await this.ownerOf(slots[0])
      return owner.id === primary.id ? undefined : owner
    }
    const promoted = await waitUntil(successor, { ...FAILOVER, what: 'a replica to take over' })
    await this.isWhole()
    return promoted
  }

  /** Starts a killed node again on its port, as a replica of whoever has its slots now. */
  async revive(node: ClusterNode): Promise<void> {
    await node.server.restart()
    await waitUntil(() => isLinked(node), { ...FAILOVER, what: 'the node to follow its successor' })
  }

  /** Has a replica take over from a primary that is well, as an operator does for maintenance. @returns the new primary */
  async failOver(primary: ClusterNode): Promise<ClusterNode> {
    const replica = (await this.look()).find((line) => line.primary === primary.id && !line.flags.includes('fail'))
    const node = this.node(replica?.id)
    await node.client.call('CLUSTER', 'FAILOVER')
    await waitUntil(async () => (await this.primaries()).includes(node), { ...FAILOVER, what: 'the replica to take over' })
    await this.isWhole()
    return node
  }

  /** Starts one more primary, which serves no slots yet. */
  async addNode(): Promise<ClusterNode> {
    const node = await this.startNode()
    await this.meet(node, this.running()[0] as ClusterNode)
    await this.knowEachOther()
    await this.isWhole() // a new node refuses keys until it has looked at the others for a while
    return node
  }

  /** Moves slots with their keys, as redis-cli's reshard does. */
  async moveSlots(from: ClusterNode, to: ClusterNode, [first, last]: Slots): Promise<void> {
    for (let slot = first; slot <= last; slot += 1) await this.moveSlot(slot, from, to)
  }

  /** The ranges that this node serves. */
  async slotsOf(node: ClusterNode): Promise<Slots[]> {
    return (await this.look()).find(({ id }) => id === node.id)?.slots ?? []
  }

  async stop(): Promise<void> {
    for (const { client } of this.nodes) client.disconnect()
    await Promise.all(this.nodes.map(({ server }) => server.stop()))
    this.struckOut()
  }

  private async startNode(): Promise<ClusterNode> {
    // The usual port of the bus, 10,000 above, may be no port at all.
    const server = await RedisServer.startOnFreePorts(async () => [
      ...['--cluster-enabled', 'yes', '--cluster-port', String(await freePort()), '--cluster-node-timeout', String(NODE_TIMEOUT_MS)],
      ...['--cluster-allow-replica-migration', 'no', '--repl-diskless-sync-delay', '0', ...this.args],
    ])
    const client = new Redis({ host: '127.0.0.1', port: server.port, maxRetriesPerRequest: null, retryStrategy: () => 100 })
    client.on('error', () => {})
    const node = { server, port: server.port, client, id: (await client.call('CLUSTER', 'MYID')) as string }
    this.nodes.push(node)
    return node
  }

  private async meet(node: ClusterNode, { server, port }: ClusterNode): Promise<void> {
    const bus = server.args[server.args.indexOf('--cluster-port') + 1] as string
    await node.client.call('CLUSTER', 'MEET', '127.0.0.1', port, bus)
  }

  private async knowEachOther(): Promise<void> {
    const running = this.running()
    const knows = async (node: ClusterNode) => {
      const lines = (await this.look(node)).filter(({ linked, flags }) => linked && !flags.includes('handshake'))
      return running.every(({ id }) => lines.some((line) => line.id === id))
    }
    await waitUntil(async () => (await Promise.all(running.map(knows))).every(Boolean), {
      ...FAILOVER,
      what: 'the nodes to know each other',
    })
  }

  /** Resolves when each running node says that all slots are served. */
  private async isWhole(): Promise<void> {
    const isOk = async ({ client }: ClusterNode) => /^cluster_state:ok/m.test((await client.call('CLUSTER', 'INFO')) as string)
    const all = async () => (await Promise.all(this.running().map(isOk))).every(Boolean)
    await waitUntil(all, { ...FAILOVER, what: 'all slots to be served' })
  }

  private async moveSlot(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
    await to.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
    await from.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
    for (;;) {
      const keys = (await from.client.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
      if (keys.length === 0) break
      // Both refuse keys for the seconds in which slots of another primary have no owner (CLUSTERDOWN).
      const migrate = () => from.client.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys)
      await waitUntil(migrate, { ...FAILOVER, what: `slot ${slot} to move` })
    }
    // The new owner first: until it knows, both would send a client to the other.
    await to.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
    await from.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
  }

  private running(): ClusterNode[] {
    return this.nodes.filter(({ server }) => server.answering)
  }

  private node(id: string | undefined): ClusterNode {
    const node = this.nodes.find((one) => one.id === id)
    if (!node) throw new Error('no node of this cluster does')
    return node
  }

  private async look(node = this.running()[0] as ClusterNode): Promise<NodeLine[]> {
    return parseNodes((await node.client.call('CLUSTER', 'NODES')) as string)
  }
}

/** https://redis.io/docs/latest/commands/cluster-nodes/: one line a node, with the slots that are moving in brackets at the end. */
function parseNodes(text: string): NodeLine[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [id = '', address = '', flags = '', primary = '-', , , , link, ...slots] = line.split(' ')
      return {
        ...{ id, port: Number(/:(\d+)@/.exec(address)?.[1]), flags: flags.split(',') },
        primary: primary === '-' ? undefined : primary,
        linked: link === 'connected',
        slots: slots.flatMap((range) => {
          const [first, last = first] = range.split('-').map(Number)
          return range.startsWith('[') ? [] : [[first, last] as Slots]
        }),
      }
    })
}

async function isLinked({ client }: ClusterNode): Promise<boolean> {
  return (await client.info('replication')).includes('master_link_status:up')
}

/** The i-th of so many equal parts of all slots. */
function share(i: number, parts: number): Slots {
  return [Math.ceil((i * SLOTS) / parts), Math.ceil(((i + 1) * SLOTS) / parts) - 1]
}
