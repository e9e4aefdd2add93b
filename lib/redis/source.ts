// The option `redis` in its forms. The shop's own client is duplicated, never used: its subscriptions, timeouts and queues stay its own.

import type { RedisOptions } from 'ioredis'
import { OrderTimersError, show } from '../errors.js'
import { checked, parseAddress } from './address.js'
import { fromCluster, fromNodes, isCluster, type RedisNodes } from './cluster-source.js'
import { type Client, fromClient, fromOptions, type RedisSource } from './single-source.js'

/** The default address. */
const DEFAULT: RedisOptions = { host: '127.0.0.1', port: 6379 }

/** Options of other Redis clients. ioredis ignores them and would connect to its default. */
const NOT_OF_IOREDIS: Record<string, string> = {
  url: 'give the URL itself: redis: "redis://…"',
  uri: 'give the URL itself: redis: "redis://…"',
  connectionString: 'give the URL itself: redis: "redis://…"',
  hostname: 'ioredis calls it "host"',
  database: 'ioredis calls it "db"',
  socket: 'ioredis takes "host", "port", "path" and "tls" themselves',
  redisOptions: 'give the options themselves',
}

/** What other packages call a cluster's nodes. ioredis would connect to its default. */
const OTHER_NODES = ['startupNodes', 'clusterNodes', 'rootNodes']

/** @throws OrderTimersError INVALID_OPTION */
export function parseRedisSource(redis: unknown): RedisSource | false {
  if (redis === false) return false
  if (redis === undefined) return fromOptions(DEFAULT)
  if (typeof redis === 'string') return fromOptions(parseAddress(redis))
  if (typeof redis === 'number') return fromOptions(checked({ port: redis }, redis))
  if (isCluster(redis)) return fromCluster(redis)
  if (isClient(redis)) return fromClient(redis)
  if (isListOfNodes(redis)) {
    if (isPlain(redis) && 'nodes' in redis) return fromNodes(redis as RedisNodes)
    throw new OrderTimersError('INVALID_OPTION', 'orderTimers: "redis" must have the nodes of a cluster as "nodes": redis: { nodes: […] }')
  }
  if (isPlain(redis)) {
    refuseOthers(redis)
    return fromOptions(checked(redis))
  }
  throw new OrderTimersError(
    'INVALID_OPTION',
    `orderTimers: "redis" must be a URL such as redis://127.0.0.1:6379, ioredis options, an ioredis client or false, got ${shown(redis)}`,
  )
}

function isListOfNodes(value: unknown): boolean {
  return (Array.isArray(value) && value.length > 0) || (isPlain(value) && ['nodes', ...OTHER_NODES].some((name) => name in value))
}

/** Clients of other packages can be duplicated too, but have no `status`. */
function isClient(value: unknown): value is Client {
  const { duplicate, status } = (value ?? {}) as Partial<Client>
  return typeof duplicate === 'function' && typeof status === 'string'
}

function isPlain(value: unknown): value is RedisOptions {
  if (value === null || typeof value !== 'object') return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function refuseOthers(options: object): void {
  for (const [name, remedy] of Object.entries(NOT_OF_IOREDIS)) {
    if (!(name in options)) continue
    throw new OrderTimersError('INVALID_OPTION', `orderTimers: "redis" has the option ${show(name)}, which ioredis ignores; ${remedy}`)
  }
}

/** Without possible passwords, such as one in the options of another package's client. */
function shown(redis: unknown): string {
  const { name } = redis !== null && typeof redis === 'object' ? redis.constructor : {}
  return name === undefined || Array.isArray(redis) ? show(redis) : `an instance of ${name}`
}
