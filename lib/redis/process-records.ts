// The record that a process writes about itself in Redis, and its parsing. Other programs may write there, and a later version may write another form: a record that does not have the
// expected form is left out, and so is one from an implausible future.

/** A worker settles orders. A web process only schedules them. */
export type Role = 'worker' | 'web'

/** How long a process counts as alive after its last heartbeat in Redis: a worker sends one every 2 s, a web process every 15 s. */
export const ALIVE_MS = { worker: 5_000, web: 45_000 } as const

/** The record of a process. */
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
  /** The address and db of its Redis; null with `redis: false`. */
  redis: string | null
  /** The name of the data in that Redis. The same for all processes that use the same data. Undefined while unknown. */
  redisData?: string
  /** The fingerprint of each rule's declared values. */
  rules: Record<string, string>
  databases: DatabaseRecord[]
  /** Whether it respects holds; earlier versions do not. */
  holds?: boolean
  /** In a cluster: how many partitions it takes the index to have. */
  partitions?: number
  /** For a worker: milliseconds between two of its sweeps, null if none is scheduled. */
  sweepMs?: number | null
  /** For a worker that sends heartbeats less often than usual: milliseconds between two. */
  beatMs?: number
  /** For a worker that scans for keys that other services set: how long its last pass over the keyspace took, milliseconds. */
  scanMs?: number
  /** What is wrong at present, as this process sees it. Left out if nothing is. */
  faults?: RecordedFault[]
  /**
   * The minimum by which its clock is ahead of the server's, in milliseconds, as it measured it; null before that. Missing in earlier versions.
   */
  aheadMs?: number | null
}

/** A fault in the record. */
export interface RecordedFault {
  code: string
  kind?: string
  message: string
  /** When it began, in milliseconds by the process's clock. */
  since: number
}

/** A database that a process uses. */
export interface DatabaseRecord {
  /** The same for processes that use the same table. */
  identity: string
  kinds: string[]
  /** How long before the heartbeat the process first and last read this identity, in milliseconds. */
  sinceMs: number
  confirmedMs: number
}

/** A process at its last heartbeat. */
export interface SeenProcess extends ProcessRecord {
  /** Its last heartbeat, by the server's clock, in milliseconds. */
  beatAt: number
  /** Milliseconds since then. */
  ageMs: number
  /** The minimum by which its clock is ahead of the server's, in milliseconds; a difference that a round trip can explain counts as 0. */
  clockMs: number
}

/** How far Redis's clock may go back, for example after a failover, before earlier records are ignored. Otherwise processes would seem gone. */
export const FUTURE_MS = 60_000

/** @param text when it was written by Redis's clock, the process's own clock, and JSON @param now Redis's clock @returns undefined if it is left out */
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

/** @param records id, record, id, record, … */
export function parseRecords(records: readonly string[], now: number): SeenProcess[] {
  return records.flatMap((text, i) => (i % 2 === 1 ? (parseRecord(text, now) ?? []) : []))
}

/** Whether it has all required fields, each of its type. */
export function isRecord(record: ProcessRecord): boolean {
  const { id, host, pid, version, startedAt, role, redis, redisData, rules, databases } = record
  const { partitions, sweepMs, beatMs, scanMs, faults } = record
  return (
    [id, host, version].every(isText) &&
    [pid, startedAt].every(isNumber) &&
    (role === 'worker' || role === 'web') &&
    (redis === null || isText(redis)) &&
    isOptional(redisData, isText) &&
    isObject(rules) &&
    Object.values(rules).every(isText) &&
    isListOf(databases, isDatabase) &&
    isOptional(partitions, isNumber) &&
    (sweepMs === null || isOptional(sweepMs, isNumber)) &&
    isOptional(beatMs, isNumber) &&
    isOptional(scanMs, isNumber) &&
    isOptional(faults, (list) => isListOf(list, isFault))
  )
}

export function isAliveByBeat(one: Pick<SeenProcess, 'role' | 'ageMs' | 'beatMs'>): boolean {
  return one.ageMs < aliveMs(one)
}

/** How long it counts as alive after a heartbeat. */
export function aliveMs({ role, beatMs }: Pick<SeenProcess, 'role' | 'beatMs'>): number {
  return beatMs === undefined ? ALIVE_MS[role] : 2.5 * beatMs
}

/** @param aheadMs the process's own measurement @param writtenMs its clock when it sent the heartbeat, minus the server's when that arrived */
function clockOf(aheadMs: number | null | undefined, writtenMs: number): number {
  if (aheadMs === undefined) return writtenMs
  return aheadMs ?? Math.max(0, writtenMs) // a clock that seems slow may be network delay
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
