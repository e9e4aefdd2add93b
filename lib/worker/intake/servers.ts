// The servers that publish expiry events: one Redis, or the primaries of a cluster, with an intake on each. In a cluster, nodes that are added, promoted
// or removed are followed. A new node may have expired keys before the subscription, which therefore counts as "something may have been missed".

import type { Keys } from '../../keys.js'
import type { Loop } from '../../loop.js'
import { RedisConnection } from '../../redis/connection.js'
import { Primaries, type Primary } from '../../redis/primaries.js'
import type { ScanStep } from '../../redis/pulse.js'
import { probeWritesOn } from '../../redis/script-calls.js'
import type { RuntimeRedis } from '../../timers/runtime.js'
import { within } from '../../wait.js'
import { type Faults, NodeFaults } from '../faults.js'
import { reportConnection } from './connection-faults.js'
import { HeardOnce } from './heard-once.js'
import type { Pace } from './pulses.js'
import { ServerIntake, type ServerIntakeDependencies, type ServerIntakeListeners } from './server-intake.js'

/** How long to wait for an answer of the index. */
const WAIT_MS = 1_000

/** How long to wait for the nodes of a cluster at the start. */
const KNOWN_MS = 3_000

export interface ServersDependencies
  extends Pick<ServerIntakeDependencies, 'keys' | 'workerId' | 'kinds' | 'meters' | 'log' | 'configureRedis'> {
  redis: RuntimeRedis
  pace: Pace
  faults: Faults
}

/** The common parts for all of a worker's servers. */
export interface Servers {
  readonly list: readonly ServerIntake[]
  /** Resolves when the first attempt to subscribe to each has ended. */
  readonly attempted: Promise<void>
  start(): void
  stop(): Promise<void>
}

export function serversOf(dependencies: ServersDependencies, listeners: ServerIntakeListeners): Servers {
  return dependencies.redis.source.topology === 'cluster' ? new Nodes(dependencies, listeners) : new OneServer(dependencies, listeners)
}

class OneServer implements Servers {
  readonly list: readonly [ServerIntake]

  constructor({ redis, ...others }: ServersDependencies, listeners: ServerIntakeListeners) {
    const { connection, source, pulse } = redis
    const own = { tag: undefined, partition: () => 0, unindexed: async (found: ScanStep['found']) => found }
    this.list = [new ServerIntake({ ...others, connection, source, pulse, ...own }, listeners)]
  }

  get attempted(): Promise<void> {
    return this.list[0].subscriber.attempted
  }

  start(): void {
    this.list[0].start()
  }

  stop(): Promise<void> {
    return this.list[0].stop()
  }
}

interface Node {
  intake: ServerIntake
  connection: RedisConnection
  faults: NodeFaults
}

class Nodes implements Servers {
  private readonly nodes = new Map<string, Node>()
  private readonly primaries: Primaries
  private readonly unlisten: (() => void)[] = []
  private readonly leaving = new Set<Promise<void>>()
  /** Every node delivers each wake. */
  private readonly heard = new HeardOnce()

  constructor(
    private readonly dependencies: ServersDependencies,
    private readonly listeners: ServerIntakeListeners,
  ) {
    this.primaries = new Primaries(dependencies.redis.connection, dependencies.keys)
  }

  get list(): readonly ServerIntake[] {
    return [...this.nodes.values()].map(({ intake }) => intake)
  }

  get attempted(): Promise<void> {
    return this.attempt()
  }

  start(): void {
    const { faults, redis } = this.dependencies
    const { connection } = redis
    const { onMissed, onServing } = this.listeners
    this.unlisten.push(reportConnection(connection, faults), connection.onUp(onServing), connection.refusals.onAccepted(onMissed))
    connection.open()
    if (connection.ready) onServing()
    this.primaries.start({
      onAdded: (primary) => this.add(primary),
      onRemoved: (primary) => this.remove(primary),
      onMoved: ({ address }) => this.nodes.get(address)?.intake.expiryProbe.forget(),
    })
  }

  async stop(): Promise<void> {
    this.primaries.stop()
    for (const unlisten of this.unlisten) unlisten()
    for (const address of [...this.nodes.keys()]) this.leave(address)
    await Promise.all(this.leaving)
  }

  private async attempt(): Promise<void> {
    await this.dependencies.redis.connection.connected(KNOWN_MS).catch(() => {})
    await within(KNOWN_MS, Promise.all(this.list.map(({ subscriber }) => subscriber.attempted)))
  }

  private add(primary: Primary): void {
    const { redis, faults: all, pace, ...others } = this.dependencies
    const { address, source } = primary
    const { pulse } = redis
    const connection = new RedisConnection(source, 'express-order-timers:node')
    connection.refusals.probe = () => probeWritesOn(connection, others.keys, primary.tag) // a refusal may last until the next pulse
    const faults = new NodeFaults(all, address)
    const unindexed = (found: ScanStep['found']) => notIn(redis, others.keys, found)
    const intake = new ServerIntake(
      {
        ...{ ...others, connection, source, pulse, faults, unindexed },
        pace: { everyMs: pace.cluster.nodeMs, scans: pace.scans },
        tag: () => primary.tag,
        partition: () => primary.partition,
      },
      {
        ...this.listeners,
        onWake: (message) => this.heard.heeds(message, address, this.nodes.keys()) && this.listeners.onWake(message),
      },
    )
    this.nodes.set(address, { intake, connection, faults })
    connection.onDoubt(() => this.primaries.askAgain()) // its slots, or those of the requested keys, have moved
    intake.start()
    others.log('info', `Redis at ${redis.connection.where}: ${address} serves slots`, { code: 'REDIS_NODE_ADDED', node: address })
  }

  private remove({ address }: Primary): void {
    const { log, redis } = this.dependencies
    this.leave(address)
    log('info', `Redis at ${redis.connection.where}: ${address} serves no slots any more`, { code: 'REDIS_NODE_REMOVED', node: address })
  }

  private leave(address: string): void {
    const node = this.nodes.get(address)
    if (!node) return
    this.nodes.delete(address)
    node.faults.end()
    const left = node.intake.stop().finally(() => {
      node.connection.close()
      this.leaving.delete(left)
    })
    this.leaving.add(left)
  }
}

/** The keys on a node that are not in the index: other services set them. If a partition does not answer, all its keys count as such. */
async function notIn({ index }: RuntimeRedis, keys: Keys, found: ScanStep['found']): Promise<ScanStep['found']> {
  const ids = new Map<string, string[]>()
  const parsed = found.map(([name]) => keys.parse(name))
  for (const key of parsed) if (key !== 'external') ids.set(key.kind, [...(ids.get(key.kind) ?? []), key.id])
  const indexed = new Map<string, ReadonlyMap<string, number>>()
  for (const [kind, all] of ids) indexed.set(kind, await index.armed(kind, all, WAIT_MS, new Set()))
  return found.filter((_, i) => {
    const key = parsed[i]
    return key !== undefined && key !== 'external' && !indexed.get(key.kind)?.has(key.id)
  })
}

/** The loop of each server's pulses. */
export function loopsOf({ list }: Servers): Loop[] {
  return list.map(({ loop }) => loop)
}
