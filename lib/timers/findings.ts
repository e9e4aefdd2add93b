// Conclusions from the records of all processes that no single process can draw: no worker is alive, rules differ, two databases share a
// prefix. Nothing is refused because of them.

import type { PresenceFaultCode } from '../faults.js'
import { aliveMs, isAliveByBeat, type ProcessRecord, type SeenProcess } from '../redis/process-records.js'

/** How long a process counts as alive after it wrote its row in Postgres, once a minute. */
export const ALIVE_BY_ROW_MS = 150_000

/** A worker that has been silent for longer was reported before, or was replaced. */
const JUST_DIED_MS = 120_000

/** How long two processes must have been seen with different databases. */
const APART_MS = 60_000

/** What is known of all processes; each part is undefined if it could not be read. */
export interface Seen {
  redis: readonly SeenProcess[] | undefined
  postgres: readonly SeenProcess[] | undefined
}

/** Only for web processes: a worker does not report it. */
const MISSING: PresenceFaultCode = 'NO_WORKER'

/** The process that evaluates the records. */
export type Looker = Pick<ProcessRecord, 'id' | 'role' | 'rules' | 'redis' | 'redisData'>

export interface Finding {
  code: PresenceFaultCode
  /** The rule, if it is about one. */
  kind?: string
  message: string
  remedy: string
  /** How long it must last before it is a fault, since deployments have such moments. */
  graceMs: number
}

export function isAliveByRow({ ageMs }: Pick<SeenProcess, 'ageMs'>): boolean {
  return ageMs < ALIVE_BY_ROW_MS
}

/** @returns undefined if nothing could be read, so that nothing is known */
export function findingsOf(self: Looker, { redis, postgres }: Seen): Finding[] | undefined {
  const alive = redis?.filter(isAliveByBeat) ?? postgres?.filter(isAliveByRow)
  if (!alive) return undefined
  const workers = alive.filter(({ role }) => role === 'worker')
  const elsewhere = redis ? onOtherData(self, postgres ?? []) : []
  const always = [...differentRules(workers), ...differentDatabases(alive)]
  if (self.role === 'worker')
    return [...always, ...unservedKinds([self, ...alive], workers), ...elsewhere.slice(0, 1).map((web) => otherRedis(web, self))]
  if (workers.length > 0) return [...always, ...unservedKinds([self], workers)]
  // A worker's row appears some seconds after its start, or never without the right: a missing row means nothing while Redis cannot be read.
  if (!redis && self.redis !== null && !postgres?.some(({ role }) => role === 'worker')) return always
  const [first] = elsewhere
  return [...always, first ? otherRedis(self, first) : noWorker(self, redis ?? postgres ?? [])]
}

function noWorker(self: Looker, all: readonly SeenProcess[]): Finding {
  const [last] = all.filter(({ role }) => role === 'worker').sort((one, other) => one.ageMs - other.ageMs)
  const silence = last ? `${nameOf(last)} last beat ${seconds(last.ageMs)} ago` : 'none has been seen'
  const where = self.redis === null ? 'with the same database and prefix' : `that uses Redis at ${self.redis} and the same prefix`
  return {
    code: MISSING,
    message: `no worker is alive (${silence}), and nothing is settled`,
    remedy: `start a worker ${where}`,
    // A worker that ended normally, as in a deployment, leaves no record.
    graceMs: last && last.ageMs < JUST_DIED_MS + aliveMs(last) ? 0 : 60_000,
  }
}

function unservedKinds(processes: readonly Pick<Looker, 'id' | 'rules'>[], workers: readonly SeenProcess[]): Finding[] {
  const kinds = new Map(processes.flatMap(({ id, rules }) => Object.keys(rules).map((kind) => [kind, id] as const)))
  return [...kinds].flatMap(([kind, id]) => {
    if (workers.some((worker) => kind in worker.rules)) return []
    const message = `${kind}: no living worker has this rule, which ${id} has, and its orders are not settled`
    return [{ code: 'KIND_UNSERVED' as const, kind, message, remedy: 'deploy the workers with this rule', graceMs: 60_000 }]
  })
}

/** Living processes of the other role with rows in the same database and other data in Redis. Empty if one uses the same data. */
function onOtherData(self: Looker, rows: readonly SeenProcess[]): SeenProcess[] {
  if (self.redisData === undefined) return []
  const others = rows.filter((row) => row.role !== self.role && isAliveByRow(row) && row.redisData !== undefined)
  const related = others.filter(({ rules }) => Object.keys(self.rules).some((kind) => kind in rules))
  if (self.role === 'web' && related.some(({ redisData }) => redisData === self.redisData)) return []
  return related.filter(({ redisData }) => redisData !== self.redisData)
}

function otherRedis(web: Where, worker: Where): Finding {
  return {
    code: 'OTHER_REDIS',
    message: `the web process ${web.id} uses Redis at ${web.redis}, and the worker ${worker.id} another one, at ${worker.redis}: the sweep alone settles`,
    remedy: 'give both the same Redis, db and prefix',
    graceMs: 60_000,
  }
}

type Where = Pick<Looker, 'id' | 'redis'>

/** For each kind, the first two workers whose declared values differ. */
function differentRules(workers: readonly SeenProcess[]): Finding[] {
  return kindsOf(workers).flatMap((kind) => {
    const having = workers.filter(({ rules }) => kind in rules)
    const [first] = having
    const other = having.find(({ rules }) => rules[kind] !== first?.rules[kind])
    if (!first || !other) return []
    const [one, two] = [first, other].map((worker) => `${nameOf(worker)} (version ${worker.version})`)
    const message = `${kind}: the workers ${one} and ${two} have different values for this rule, and whoever is first settles`
    const remedy = 'deploy the same configuration to all workers, or end the one that is left over'
    return [{ code: 'RULES_DIFFER' as const, kind, message, remedy, graceMs: 60_000 }]
  })
}

/** For each kind, two living processes that use different databases: each claims the other's orders, and finds no such rows. */
function differentDatabases(alive: readonly SeenProcess[]): Finding[] {
  return kindsOf(alive).flatMap((kind) => {
    const uses = alive.flatMap((process) => {
      const database = process.databases.find(({ kinds }) => kinds.includes(kind))
      if (!database) return []
      const { identity, sinceMs, confirmedMs } = database
      return [{ process, identity, since: process.beatAt - sinceMs, confirmed: process.beatAt - confirmedMs }]
    })
    for (const one of uses)
      for (const two of uses) {
        const togetherMs = Math.min(one.confirmed, two.confirmed) - Math.max(one.since, two.since)
        if (one.identity === two.identity || togetherMs < APART_MS) continue
        const names = `${nameOf(one.process)} and ${nameOf(two.process)}`
        const message = `${kind}: ${names} use different databases under one prefix, and take each other's timers out of Redis`
        return [{ code: 'PREFIX_SHARED' as const, kind, message, remedy: 'give each its own "prefix", or its own db', graceMs: 0 }]
      }
    return []
  })
}

function kindsOf(processes: readonly SeenProcess[]): string[] {
  return [...new Set(processes.flatMap(({ rules }) => Object.keys(rules)))]
}

/** The name for a person: host and process id. */
export function nameOf({ host, pid }: Pick<SeenProcess, 'host' | 'pid'>): string {
  return `${host}:${pid}`
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1_000)} s`
}
