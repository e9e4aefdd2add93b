// The option `redis` in its four forms, and the connections made from it. The shop's own client is duplicated, never used: its
// subscriptions, timeouts and queues stay its own, and ours keep their promises whatever its options say.

import { Redis, type RedisOptions } from 'ioredis'
import { OrderTimersError, show } from '../errors.js'
import { SCRIPTS } from './scripts.js'

export interface RedisSource {
  /** The shop's own `keyPrefix`. It is put on keys but not on what an event carries, so we put it on ourselves. */
  keyPrefix: string
  /** A connection that is not open yet. */
  create(name: string): Redis
}

/** A URL of ioredis's: a password may stand in it, so an error shows none. */
const URL_SHAPE = /^rediss?:\/\/\S+$/

/** @throws OrderTimersError INVALID_OPTION, REDIS_UNUSABLE for a cluster */
export function parseRedisSource(redis: unknown): RedisSource | false {
  if (redis === false) return false
  if (redis === undefined) return fromOptions({})
  if (typeof redis === 'string' && URL_SHAPE.test(redis) && URL.canParse(redis)) {
    return { keyPrefix: '', create: (name) => new Redis(redis, ours(name)) }
  }
  if (isCluster(redis)) {
    const remedy = 'give the timers a standalone Redis, or a client that knows it by Sentinel'
    throw new OrderTimersError(
      'REDIS_UNUSABLE',
      `orderTimers: "redis" is a cluster, whose expiry events one subscriber cannot hear; ${remedy}`,
    )
  }
  if (isClient(redis)) {
    return { keyPrefix: redis.options.keyPrefix ?? '', create: (name) => redis.duplicate(ours(name)) }
  }
  if (redis !== null && typeof redis === 'object' && Object.getPrototypeOf(redis) === Object.prototype) return fromOptions(redis)
  throw new OrderTimersError(
    'INVALID_OPTION',
    `orderTimers: "redis" must be a URL such as redis://127.0.0.1:6379, ioredis options, an ioredis client or false, got ${shown(redis)}`,
  )
}

function fromOptions(options: RedisOptions): RedisSource {
  return { keyPrefix: options.keyPrefix ?? '', create: (name) => new Redis({ ...options, ...ours(name) } as ReturnType<typeof ours>) }
}

interface Client {
  status: string
  options: RedisOptions
  duplicate(override: RedisOptions): Redis
}

function isCluster(value: unknown): boolean {
  return (value as { isCluster?: unknown } | null)?.isCluster === true
}

/** Clients of other packages can be duplicated too, but have no `status`. */
function isClient(value: unknown): value is Client {
  const { duplicate, status } = (value ?? {}) as Partial<Client>
  return typeof duplicate === 'function' && typeof status === 'string'
}

/** Without what may be a password: a URL's, or one in the options of another package's client. */
function shown(redis: unknown): string {
  if (typeof redis === 'string') return show(redis.replace(/^(\w+:\/\/)?.*@/s, '$1***@'))
  const { name } = redis !== null && typeof redis === 'object' ? redis.constructor : {}
  return name === undefined || Array.isArray(redis) ? show(redis) : `an instance of ${name}`
}

/** What our connections need whatever the shop's options say. */
function ours(name: string): RedisOptions & { replyMapping: 'legacy' } {
  return {
    connectionName: name,
    lazyConnect: true,
    keyPrefix: '',
    scripts: { ...SCRIPTS },
    // Subscribing anew is the listener's, with a catch: a refused re-subscription of ioredis's own ends the process.
    autoResubscribe: false,
    // A command fails at once where there is no connection; what must not be forgotten is kept by us, bounded.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(500, 20 * 2 ** Math.min(times, 5)) * (0.75 + Math.random() / 4),
    connectTimeout: 2_000,
    // A server that is silent on a pending command is taken for dead, and the connection made anew.
    socketTimeout: 1_500,
    reconnectOnError: null,
    enableAutoPipelining: false,
    stringNumbers: false,
    replyMapping: 'legacy',
    monitor: false,
  }
}
