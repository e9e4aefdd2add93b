// One Redis, whose data survive a kill.

import { Redis } from 'ioredis'
import { RedisServer } from '../../test/support/redis-server.js'
import { GIVES_UP, type RedisSite } from './redis-site.js'

export class OneRedis implements RedisSite {
  readonly topology = 'server'
  readonly ports: readonly number[]
  readonly servers: readonly RedisServer[]

  private constructor(private readonly server: RedisServer) {
    this.ports = [server.port]
    this.servers = [server]
  }

  /** Without fsync every write is with the kernel before its reply, so that a killed server loses nothing. */
  static async open(): Promise<OneRedis> {
    return new OneRedis(await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'no']))
  }

  addressBy([link]: readonly number[]): string {
    return `redis://127.0.0.1:${link}`
  }

  async primaries(): Promise<readonly RedisServer[]> {
    return this.servers
  }

  async connect(): Promise<Redis> {
    return new Redis(this.server.url, GIVES_UP as never)
  }

  stop(): Promise<void> {
    return this.server.stop()
  }
}
