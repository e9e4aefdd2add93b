// What kind of server this is, and its settings as far as this user may read them.

import type { Redis } from 'ioredis'
import { OrderTimersError } from '../errors.js'
import { within } from '../wait.js'
import type { RedisConnection } from './connection.js'
import { ANSWERED_WITHIN_MS } from './own-options.js'
import { missingIn, serversOf } from './primaries.js'
import { GIVE_CLUSTER, isReplica } from './replies.js'
import { redisError } from './trouble.js'

/** The oldest version with ZADD LT, SET PXAT and ZMSCORE (https://redis.io/docs/latest/commands/set/#history). */
const OLDEST = [6, 2] as const

export interface ServerSettings {
  /** The flags of `notify-keyspace-events`; undefined if CONFIG is refused. */
  notifications: string | undefined
  /** `maxmemory-policy`; undefined if CONFIG is refused. */
  eviction: string | undefined
}

/** Why a server cannot serve timers, and what to do about it. */
export interface Unfitness {
  what: string
  remedy: string
}

const REPLICA: Unfitness = {
  what: 'this Redis is a replica, which publishes no expiry events and takes no writes',
  remedy: 'give the primary, or Sentinels',
}

const CLUSTER_NODE: Unfitness = {
  what: 'this Redis is a node of a cluster, which serves only a part of the keys',
  remedy: GIVE_CLUSTER,
}

/**
 * @throws OrderTimersError REDIS_UNUSABLE for a replica, a node of a cluster by itself or a version before 6.2; REDIS_UNAVAILABLE if a primary
 * of a cluster does not answer
 */
export async function assertUsable(connection: RedisConnection): Promise<void> {
  const [missing] = missingIn(connection.client)
  if (missing !== undefined) throw redisError(new Error(`not connected to its node ${missing}`), connection.where)
  const unfitness = await readUnfitness(connection)
  if (!unfitness) return
  const message = `orderTimers: Redis at ${connection.where} cannot serve: ${unfitness.what}; ${unfitness.remedy}`
  throw new OrderTimersError('REDIS_UNUSABLE', message)
}

/** @returns null if the server can serve timers, undefined if this user may not ask */
export async function readUnfitness(connection: RedisConnection): Promise<Unfitness | null | undefined> {
  const infos = await readInfo(connection)
  if (infos === undefined) return undefined
  return infos.map((info) => unfitnessIn(info, connection.topology)).find((unfitness) => unfitness !== null) ?? null
}

/** The same from the text of INFO. What it does not say is taken to be right. A node of a cluster that became a replica is left, not judged. */
export function unfitnessIn(info: string, topology: RedisConnection['topology']): Unfitness | null {
  const version = /^(?:redis_version):(\d+)\.(\d+)/m.exec(info)
  const [major, minor] = [Number(version?.[1] ?? OLDEST[0]), Number(version?.[2] ?? OLDEST[1])]
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    return { what: `Redis ${major}.${minor} is too old`, remedy: '6.2 or later is needed' }
  }
  if (topology !== 'server') return null
  if (/^role:slave/m.test(info)) return REPLICA
  if (/^cluster_enabled:1/m.test(info)) return CLUSTER_NODE
  return null
}

/** `maxmemory-policy` in the text of INFO; undefined if it does not say. */
export function evictionIn(info: string): string | undefined {
  return /^maxmemory_policy:(\S+)/m.exec(info)?.[1]
}

/** Why the server cannot serve timers, from an error reply that only a replica or a cluster node sends. */
export function unfitnessBy(error: Error): Unfitness {
  return isReplica(error) ? REPLICA : CLUSTER_NODE
}

/** The settings that concern timers, where CONFIG is allowed (managed servers often refuse it). In a cluster those of the primary with wrong settings. */
export async function readSettings(connection: RedisConnection): Promise<ServerSettings> {
  const [notifications, evictions] = await Promise.all([
    readSetting(connection, 'notify-keyspace-events'),
    readSetting(connection, 'maxmemory-policy'),
  ])
  return {
    notifications: notifications.find((flags) => !publishesExpiry(flags)) ?? notifications[0],
    eviction: evictions.find((policy) => policy !== 'noeviction') ?? evictions[0],
  }
}

/** Whether these flags make Redis publish expiry as `__keyevent@…`: E, and x or A (which stands for it). */
export function publishesExpiry(flags: string): boolean {
  return flags.includes('E') && /[xA]/.test(flags)
}

/** The same for keys that get a TTL: E, and g or A. */
export function publishesTtls(flags: string): boolean {
  return flags.includes('E') && /[gA]/.test(flags)
}

/** These flags plus those that expiry events need: CONFIG SET and a line of redis.conf replace all flags. */
export function withExpiryEvents(flags: string): string {
  return `${flags}${flags.includes('E') ? '' : 'E'}${/[xA]/.test(flags) ? '' : 'x'}`
}

/** Adds the missing flags to `notify-keyspace-events`. @throws what Redis answers if CONFIG is refused */
export async function enableExpiryEvents(connection: RedisConnection, present: string): Promise<void> {
  await connection.ask((client) => client.config('SET', 'notify-keyspace-events', withExpiryEvents(present)))
}

async function readInfo(connection: RedisConnection): Promise<string[] | undefined> {
  try {
    return await askEach(connection, (server) => server.info())
  } catch (error) {
    if (error instanceof OrderTimersError) throw error
    return undefined // this user may not call INFO
  }
}

/** For each server; none if this user may not read it. */
async function readSetting(connection: RedisConnection, name: string): Promise<string[]> {
  try {
    const replies = await askEach(connection, (server) => server.config('GET', name))
    return (replies as string[][]).flatMap(([, value]) => value ?? [])
  } catch (error) {
    if (error instanceof OrderTimersError) throw error
    return []
  }
}

/** @throws OrderTimersError REDIS_UNAVAILABLE if one does not answer */
function askEach<T>(connection: RedisConnection, question: (server: Redis) => Promise<T>): Promise<T[]> {
  const ask = async (server: Redis) => {
    const answer = await within(ANSWERED_WITHIN_MS, question(server))
    if (answer === undefined) throw new Error(`${server.options.host}:${server.options.port} did not answer in ${ANSWERED_WITHIN_MS} ms`)
    return answer
  }
  return connection.ask((client) => Promise.all(serversOf(client).map(ask)))
}
