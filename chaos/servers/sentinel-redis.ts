// A primary and a replica, which three Sentinels watch. Hosts reach servers and Sentinels by their links alone.

import { Redis, type RedisOptions } from 'ioredis'
import type { RedisServer } from '../../test/support/redis-server.js'
import { Sentinels } from '../../test/support/sentinels.js'
import { at, natMap } from '../redis-address.js'
import { type Failovers, GIVES_UP, type RedisSite, WELL } from './redis-site.js'

/** So that the next failover need not wait for long. */
const FAILOVER_TIMEOUT_MS = 2_000

export class SentinelRedis implements RedisSite {
  readonly topology = 'sentinel'
  readonly ports: readonly number[]
  readonly servers: readonly RedisServer[]

  private constructor(private readonly sentinels: Sentinels) {
    const { first, second, ports } = sentinels
    this.servers = [first, second]
    this.ports = [first.port, second.port, ...ports]
  }

  static async open(): Promise<SentinelRedis> {
    return new SentinelRedis(await Sentinels.start({ failoverTimeoutMs: FAILOVER_TIMEOUT_MS }))
  }

  addressBy(links: readonly number[]): RedisOptions {
    return { ...this.sentinels.options, sentinels: links.slice(this.servers.length).map(at), natMap: natMap(this.ports, links) }
  }

  async primaries(): Promise<readonly RedisServer[]> {
    return [await this.sentinels.primary()]
  }

  async connect(): Promise<Redis> {
    return new Redis((await this.sentinels.primary()).url, GIVES_UP as never)
  }

  readonly failovers: Failovers = {
    candidates: () => this.primaries(),
    kill: async (primary) => {
      await primary.kill()
      await this.sentinels.arePointingAt(this.other(primary))
    },
    revive: async (server) => {
      const own = server.args.includes('--replicaof') ? server.args.slice(0, server.args.indexOf('--replicaof')) : server.args
      await server.restart([...own, '--replicaof', '127.0.0.1', String(this.other(server).port)])
      await this.sentinels.isReplica(server)
    },
    freeze: async (primary) => {
      primary.pause()
      await this.sentinels.arePointingAt(this.other(primary))
    },
    // For some seconds there are two primaries then, until the Sentinels make this one a replica.
    thaw: async (server) => {
      server.resume()
      await this.sentinels.client(server.port).config('SET', ...WELL)
      await this.sentinels.isReplica(server)
    },
    byCommand: async (primary) => {
      await this.sentinels.failOver()
      await this.sentinels.arePointingAt(this.other(primary))
      await this.sentinels.isReplica(primary)
    },
  }

  stop(): Promise<void> {
    return this.sentinels.stop()
  }

  private other(server: RedisServer): RedisServer {
    const { first, second } = this.sentinels
    return server === first ? second : first
  }
}
