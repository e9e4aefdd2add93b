// The minimum rights of a Redis user, as ACL rules: each command that a web process or a worker sends, directly or within a script, and the keys
// and the channels. If you add a command to a script or a call, add it
// here too (test/operations/rights.test.ts).

export type RedisRole = 'web' | 'worker'

export interface RedisPlace {
  /** ioredis's `keyPrefix`, if there is one, and then the option `prefix`. */
  prefix: string
  db: number
  /** Including those of reminders, such as `order_confirm.reminder-2h`. */
  kinds: readonly string[]
  /** Whether it is a cluster, where each node has its own users. */
  inCluster?: boolean
}

/** Arming, the calls, dead letters, reads of page, health and metrics, heartbeats, trace links, the test write after a refusal, and what ioredis sends on each connection. */
const WEB = [
  ...['client|setname', 'select', 'info', 'ping', 'time', 'eval', 'evalsha', 'publish'],
  ...['get', 'set', 'exists', 'pttl', 'pexpire', 'unlink', 'hget', 'hset', 'hsetnx', 'hdel', 'hgetall', 'hkeys', 'hlen', 'hmget'],
  ...['zadd', 'zcard', 'zcount', 'zrem', 'zrange', 'zscore', 'zmscore', 'zpopmin', 'sadd', 'srem', 'sinterstore'],
]

/** Claims, the sweep, external keys, counts of lateness, `order-timers status`, and the subscription. */
const WORKER = [...WEB, ...['config|get', 'script|load', 'subscribe', 'scan', 'hincrby', 'smembers', 'smismember', 'zrangebyscore']]

export const REDIS_COMMANDS: Readonly<Record<RedisRole, readonly string[]>> = { web: WEB, worker: WORKER }

/** What ioredis's `Cluster` also sends: to learn which node serves what, to follow a moving slot, and to a node that was or becomes a replica. */
const IN_CLUSTER = ['cluster|slots', 'cluster|info', 'asking', 'readonly', 'readwrite']

export function commandsOf(role: RedisRole, inCluster = false): readonly string[] {
  return inCluster ? [...REDIS_COMMANDS[role], ...IN_CLUSTER] : REDIS_COMMANDS[role]
}

export interface RedisChannel {
  name: string
  /** Whether the process subscribes to it. */
  listens: boolean
  /** Whether the process publishes to it. */
  speaks: boolean
  /** Whether the timers work without it: only `order-timers watch` needs it, or it only spares a scan. */
  isOptional?: true
}

/** The channels of a process of this role. */
export function channelsOf(role: RedisRole, { prefix, db }: Pick<RedisPlace, 'prefix' | 'db'>): RedisChannel[] {
  const wake = { name: `${prefix}order-timers:wake`, listens: role === 'worker', speaks: true }
  const watch = { name: `${prefix}order-timers:watch`, listens: role === 'worker', speaks: true, isOptional: true } as const
  if (role === 'web') return [wake, watch]
  const event = (name: string) => ({ name: `__keyevent@${db}__:${name}`, listens: true, speaks: false })
  return [event('expired'), { ...event('expire'), isOptional: true }, wake, watch]
}

/** Everything that follows the password in `ACL SETUSER`. It replaces the user's present rights. */
export function aclRules(role: RedisRole, place: RedisPlace): string {
  const beginnings = [...place.kinds, 'order-timers'].map((kind) => `${place.prefix}${kind}:`)
  const keys = beginnings.map((beginning) => `~${escapedGlob(beginning)}*`)
  const channels = channelsOf(role, place).map(({ name }) => `&${escapedGlob(name)}`)
  return [
    'resetkeys',
    ...keys,
    'resetchannels',
    ...channels,
    '-@all',
    ...commandsOf(role, place.inCluster).map((command) => `+${command}`),
  ].join(' ')
}

/** As a pattern that matches only this text. */
export function escapedGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
