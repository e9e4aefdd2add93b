// What a process says of itself in Redis, and how that is read. Anybody who uses this Redis may write there, and a later version may write otherwise: a record that is not of the
// form that is expected is left out, and so is one from a future that no clock explains.

/** A worker settles orders. A web process only schedules them. */
export type Role = 'worker' | 'web'

/** What a process says of itself. */
export interface ProcessRecord {
  /** Host, process id and random characters: the same in its claims, the history and its log. */
  id: string
  host: string
  pid: number
  /** The version of this package. */
  version: string
  /** When the process began, in milliseconds by its own clock. */
  startedAt: number
  role: Role
  /** The Redis that it uses, with its db; null with `redis: false`. */
  redis: string | null
  /** The name of the data in that Redis. Processes that use the same data have the same. Undefined while it is not known. */
  redisData?: string
  /** The fingerprint of each rule's declared values. */
  rules: Record<string, string>
  databases: DatabaseRecord[]
  /** Whether it heeds holds; earlier versions do not. */
  holds?: boolean
  /** Of a worker: milliseconds between two of its sweeps, null where none is scheduled. */
  sweepMs?: number | null
  /** Of a worker that beats less often than usual: milliseconds between two beats. */
  beatMs?: number
  /** What is wrong at present, as this process sees it. Left out where nothing is. */
  faults?: RecordedFault[]
  /**
   * How far its clock is ahead of the server's at least, in milliseconds, as it has measured it; null before it has. Earlier versions do not say.
   */
  aheadMs?: number | null
}

/** A fault as others are told of it. */
export interface RecordedFault {
  code: string
  kind?: string
  message: string
  /** When it began, in milliseconds by the process's clock. */
  since: number
}

/** A database that a process uses. */
export interface DatabaseRecord {
  /** The same in processes whose tables are the same. */
  identity: string
  kinds: string[]
  /** How long before the beat the process first got this identity, and last got it, in milliseconds. */
  sinceMs: number
  confirmedMs: number
}

/** A process as it was last heard of. */
export interface SeenProcess extends ProcessRecord {
  /** When it last beat, by the server's clock, in milliseconds. */
  beatAt: number
  /** Milliseconds since then. */
  ageMs: number
  /** How far its clock is ahead of the server's at least, in milliseconds: what a round trip explains is no difference. */
  clockMs: number
}

/** By how much Redis's clock may go back, as after a failover, without what was noted before being left out: processes would be taken for gone. */
export const FUTURE_MS = 60_000

/** @param text when it was written by Redis's clock, the process's own clock, and JSON @param now Redis's clock @returns undefined where it is left out */
export function parseRecord(text: string, now: number): SeenProcess | undefined {
  const parsed = /^(\d+) (\d+) (\{.*\})$/s.exec(text)
  if (!parsed) return undefined
  const [, at, wall, json = ''] = parsed
  const beatAt = Number(at)
  if (beatAt > now + FUTURE_MS) return undefined
  try {
    const { aheadMs, ...record } = JSON.parse(json) as ProcessRecord
    if (!isRecord(record) || !(aheadMs === null || isOptional(aheadMs, isNumber))) return undefined
    return { ...record, beatAt, ageMs: Math.max(0, now - beatAt), clockMs: clockOf(aheadMs, Number(wall) - beatAt) }
  } catch {
    return undefined
  }
}

/** Whether it has all that is asked of a process, each of its type. */
export function isRecord(record: ProcessRecord): boolean {
  const { id, host, pid, version, startedAt, role, redis, redisData, rules, databases, sweepMs, beatMs, faults } = record
  return (
    [id, host, version].every(isText) &&
    [pid, startedAt].every(isNumber) &&
    (role === 'worker' || role === 'web') &&
    (redis === null || isText(redis)) &&
    isOptional(redisData, isText) &&
    isObject(rules) &&
    Object.values(rules).every(isText) &&
    isListOf(databases, isDatabase) &&
    (sweepMs === null || isOptional(sweepMs, isNumber)) &&
    isOptional(beatMs, isNumber) &&
    isOptional(faults, (list) => isListOf(list, isFault))
  )
}

/** @param aheadMs what the process has measured @param writtenMs its clock when it sent the beat, minus the server's when that arrived */
function clockOf(aheadMs: number | null | undefined, writtenMs: number): number {
  if (aheadMs === undefined) return writtenMs
  return aheadMs ?? Math.max(0, writtenMs) // that it seems slow may be the beat's way
}

function isDatabase({ identity, kinds, sinceMs, confirmedMs }: DatabaseRecord): boolean {
  return isText(identity) && isListOf(kinds, isText) && isNumber(sinceMs) && isNumber(confirmedMs)
}

function isFault({ code, kind, message, since }: RecordedFault): boolean {
  return isText(code) && isText(message) && isNumber(since) && isOptional(kind, isText)
}

function isListOf<T>(list: T[] | undefined, isOne: (one: T) => boolean): boolean {
  return Array.isArray(list) && list.every((one) => one !== null && isOne(one))
}

function isOptional<T>(value: T | undefined, is: (value: T) => boolean): boolean {
  return value === undefined || is(value)
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function isNumber(value: unknown): boolean {
  return Number.isFinite(value)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
