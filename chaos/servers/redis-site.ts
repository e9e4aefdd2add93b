// Where the timers of a chaos run are: in one Redis, in a primary with a replica that three Sentinels watch, or in a cluster. Faults ask it which
// servers serve now.

import type { Redis } from 'ioredis'
import type { RedisServer } from '../../test/support/redis-server.js'
import type { RedisAddress } from '../redis-address.js'
import type { RedisTopology } from './topology.js'

export interface RedisSite {
  readonly topology: RedisTopology
  /** What hosts connect to, each by a link of its own. */
  readonly ports: readonly number[]
  /** The option `redis` of a host with these links, in the order of `ports`. */
  addressBy(links: readonly number[]): RedisAddress
  /** All, also those that are down. */
  readonly servers: readonly RedisServer[]
  /** Those that have the timers now. */
  primaries(): Promise<readonly RedisServer[]>
  /** A client of all data, past the links, that gives up at once. */
  connect(): Promise<Redis>
  /** Undefined where there are no replicas. */
  readonly failovers?: Failovers
  /** Undefined where there are no slots. */
  readonly slots?: { move(random: () => number): Promise<number> }
  stop(): Promise<void>
}

export interface Failovers {
  /** Primaries whose replica follows. */
  candidates(): Promise<readonly RedisServer[]>
  /** Resolves when the replica of the killed primary has taken over. */
  kill(primary: RedisServer): Promise<void>
  /** Resolves when the server follows its successor. */
  revive(server: RedisServer): Promise<void>
  /** The same as `kill` and `revive`, by SIGSTOP and SIGCONT. */
  freeze(primary: RedisServer): Promise<void>
  thaw(server: RedisServer): Promise<void>
  /** Resolves when the replica of a primary that is well has taken over. */
  byCommand(primary: RedisServer): Promise<void>
}

export const GIVES_UP = { retryStrategy: () => null, maxRetriesPerRequest: 0, commandTimeout: 5000 }

/** A thawed server may have missed the end of a fault. */
export const WELL = ['notify-keyspace-events', 'Ex'] as const
