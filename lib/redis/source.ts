// The option `redis` in its forms, and the connections made from it. The shop's own client is duplicated, never used: its subscriptions,
// timeouts and queues stay its own. The options that our promises depend on override those of the URL, the options or the client.

import { Redis, type RedisOptions } from 'ioredis'
import { OrderTimersError, show } from '../errors.js'
import { checked, describeAddress, parseAddress } from './address.js'
import { OURS } from './own-options.js'

export interface RedisSource {
  /** The shop's own `keyPrefix`. ioredis adds it to keys but not to what an event carries, so we add it ourselves. */
  keyPrefix: string
  /** The number of the database. */
  db: number
  /** Where Redis is, for messages: host, port and db, the path of a socket, or the Sentinels' name for it; never a user or a password. */
  describe(): string
  /** A connection that is not open yet. */
  create(name: string): Redis
}

/** Where Redis is unless the shop says otherwise. */
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

/** What clients of clusters are made of: a list of nodes, or options with one. ioredis would connect to its default. */
const NODES = ['nodes', 'startupNodes', 'clusterNodes', 'rootNodes']

/** @throws OrderTimersError INVALID_OPTION, REDIS_UNUSABLE for a cluster */
export function parseRedisSource(redis: unknown): RedisSource | false {
  if (redis === false) return false
  if (redis === undefined) return fromOptions(DEFAULT)
  if (typeof redis === 'string') return fromOptions(parseAddress(redis))
  if (typeof redis === 'number') return fromOptions(checked({ port: redis }, redis))
  if (isCluster(redis) || isListOfNodes(redis)) {
    const remedy = 'give the timers a standalone Redis, or a client that knows it by Sentinel'
    throw new OrderTimersError(
      'REDIS_UNUSABLE',
      `orderTimers: "redis" is a cluster, and one subscriber does not get the expiry events of all its nodes; ${remedy}`,
    )
  }
  if (isClient(redis)) return fromClient(redis)
  if (isPlain(redis)) {
    refuseOthers(redis)
    return fromOptions(checked(redis))
  }
  throw new OrderTimersError(
    'INVALID_OPTION',
    `orderTimers: "redis" must be a URL such as redis://127.0.0.1:6379, ioredis options, an ioredis client or false, got ${shown(redis)}`,
  )
}

function fromOptions(options: RedisOptions): RedisSource {
  return { ...about(options), create: (name) => new Redis(withOurs(options, name)) }
}

/** A class of the shop's own may give its duplicates other options; then the connection is made from the client's options. */
function fromClient(client: Client): RedisSource {
  const create = (name: string): Redis => {
    const made = client.duplicate(withOurs({}, name))
    if (isOurs(made, name)) return made
    made.disconnect?.()
    return new Redis(withOurs(client.options, name))
  }
  return { ...about(client.options), create }
}

function withOurs(options: RedisOptions, name: string): RedisOptions & { replyMapping: 'legacy' } {
  return { ...options, ...(OURS as object), connectionName: name, replyMapping: 'legacy' }
}

function about(options: RedisOptions): Omit<RedisSource, 'create'> {
  const db = Number.isSafeInteger(options.db) ? (options.db as number) : 0
  return { keyPrefix: options.keyPrefix ?? '', db, describe: () => describeAddress({ ...options, db }) }
}

interface Client {
  status: string
  options: RedisOptions
  duplicate(override: RedisOptions): Redis
}

function isOurs({ options, status }: Redis, name: string): boolean {
  const now = options as unknown as Record<string, unknown>
  const taken = Object.entries(OURS).every(([option, value]) => Array.isArray(value) || now[option] === value)
  return taken && now.connectionName === name && status === 'wait'
}

function isCluster(value: unknown): boolean {
  return (value as { isCluster?: unknown } | null)?.isCluster === true
}

function isListOfNodes(value: unknown): boolean {
  return (Array.isArray(value) && value.length > 0) || (isPlain(value) && NODES.some((name) => name in value))
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

/** Without what may be a password, such as one in the options of another package's client. */
function shown(redis: unknown): string {
  const { name } = redis !== null && typeof redis === 'object' ? redis.constructor : {}
  return name === undefined || Array.isArray(redis) ? show(redis) : `an instance of ${name}`
}
