// What kind of Redis this is, and how it is set: read where it may be read, never changed here.

import { OrderTimersError } from '../errors.js'
import type { RedisConnection } from './connection.js'
import { isReplica } from './replies.js'

/** The oldest version with ZADD LT, SET PXAT and ZMSCORE (https://redis.io/docs/latest/commands/set/#history). */
const OLDEST = [6, 2] as const

export interface ServerSettings {
  /** The flags of `notify-keyspace-events`; undefined where CONFIG is refused. */
  notifications: string | undefined
  /** `maxmemory-policy`; undefined where CONFIG is refused. */
  eviction: string | undefined
}

/** Why a Redis cannot serve, and what to do about it. */
export interface Unfitness {
  what: string
  remedy: string
}

const REPLICA: Unfitness = {
  what: 'this Redis is a replica, which hears no expiry and takes no writes',
  remedy: 'give the primary, or Sentinels',
}

const CLUSTER_NODE: Unfitness = {
  what: 'this Redis is a cluster node, whose expiry events one subscriber cannot hear all of',
  remedy: 'give a standalone Redis',
}

/** @throws OrderTimersError REDIS_UNUSABLE for a replica, a cluster or a version before 6.2 */
export async function assertUsable(connection: RedisConnection): Promise<void> {
  const unfitness = await readUnfitness(connection)
  if (!unfitness) return
  const message = `orderTimers: Redis at ${connection.where} cannot serve: ${unfitness.what}; ${unfitness.remedy}`
  throw new OrderTimersError('REDIS_UNUSABLE', message)
}

/** @returns null where nothing speaks against this Redis, undefined where it may not be asked */
export async function readUnfitness(connection: RedisConnection): Promise<Unfitness | null | undefined> {
  const info = await readInfo(connection)
  if (info === undefined) return undefined
  const version = /^(?:redis_version):(\d+)\.(\d+)/m.exec(info)
  const [major, minor] = [Number(version?.[1] ?? OLDEST[0]), Number(version?.[2] ?? OLDEST[1])]
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    return { what: `Redis ${major}.${minor} is too old`, remedy: '6.2 or later is needed' }
  }
  if (/^role:slave/m.test(info)) return REPLICA
  if (/^cluster_enabled:1/m.test(info)) return CLUSTER_NODE
  return null
}

/** What an answer says that only a Redis gives that cannot serve: a replica's, or a cluster node's. */
export function unfitnessBy(error: Error): Unfitness {
  return isReplica(error) ? REPLICA : CLUSTER_NODE
}

/** The settings that matter here, where CONFIG is allowed (managed servers often refuse it, and rightly). */
export async function readSettings(connection: RedisConnection): Promise<ServerSettings> {
  const [notifications, eviction] = await Promise.all([
    readSetting(connection, 'notify-keyspace-events'),
    readSetting(connection, 'maxmemory-policy'),
  ])
  return { notifications, eviction }
}

/** Whether these flags make Redis publish expiry as `__keyevent@…`: E, and x or A (which stands for it). */
export function publishesExpiry(flags: string): boolean {
  return flags.includes('E') && /[xA]/.test(flags)
}

/** Adds what is missing to `notify-keyspace-events`, and leaves what is there. @throws what Redis answers where CONFIG is refused */
export async function enableExpiryEvents(connection: RedisConnection, present: string): Promise<void> {
  const flags = [...new Set(`${present}Ex`)].join('')
  await connection.ask((client) => client.config('SET', 'notify-keyspace-events', flags))
}

async function readInfo(connection: RedisConnection): Promise<string | undefined> {
  try {
    return await connection.ask((client) => client.info())
  } catch (error) {
    if (error instanceof OrderTimersError) throw error
    return undefined // INFO is refused to this user
  }
}

async function readSetting(connection: RedisConnection, name: string): Promise<string | undefined> {
  try {
    const [, value] = (await connection.ask((client) => client.config('GET', name))) as string[]
    return value
  } catch (error) {
    if (error instanceof OrderTimersError) throw error
    return undefined
  }
}
