// The clocks of Postgres, Redis, this process and all other living processes. Postgres's decides; but Sequelize writes `createdAt` with that of
// the web process, so a rule with `since` counts from it.

import { servedBy } from '../../redis/primaries.js'
import { inTransaction, rows } from '../../sequelize/database.js'
import { QUESTION } from '../../sequelize/statement-limits.js'
import { livingProcesses } from '../processes.js'
import { advice, byHand, type Check, type Finding, fine, psql, type Remedy, shell, unseen, wrong } from './check.js'
import { createdByPostgres, writtenByDatabase } from './created-by-postgres.js'
import type { Subject, SubjectDatabase, SubjectRedis } from './subject.js'

/** One Redis, or a primary of a cluster. */
type Server = SubjectRedis & { address?: string }

const REDIS = 'clocks.redis'
const PROCESS = 'clocks.process'
const MOST_MS = 1_000
const READINGS = 3
const WAIT_MS = 2_000

/** How far a clock is ahead of this process's monotonic one, and the error of that reading; both in milliseconds. */
interface Reading {
  ms: number
  errorMs: number
}

export const clocks: Check = {
  name: 'clocks',
  needs: 'postgres',
  async look(subject) {
    const [database] = subject.databases
    if (!database) return []
    const postgres = await readPostgres(database)
    const here = { ms: Date.now() - performance.now(), errorMs: 1 }
    const read = await Promise.all(serversOf(subject).map(async (server) => ({ server, reading: await readRedis(server) })))
    const found = read.map(({ server, reading }) => ofRedis(postgres, reading, here, server, database))
    const redis = (read.find(({ server }) => server.address === beatsAt(subject)) ?? read[0])?.reading
    return [...found, ...(await ofProcesses(subject, { postgres, redis, here }))]
  },
}

/** The Redis servers that answer: one, or the primaries of a cluster, each with its own clock. */
function serversOf({ redis }: Subject): Server[] {
  const servers = redis && redis.nodes.length > 0 ? redis.nodes : redis ? [redis] : []
  return servers.filter(({ trouble }) => trouble === undefined)
}

/** The cluster node whose clock dates the records of processes. */
function beatsAt({ redis, runtime }: Subject): string | undefined {
  return redis && servedBy(redis.connection.client, runtime.keys.processes)
}

function ofRedis(postgres: Reading, redis: Reading, here: Reading, { address, connection }: Server, database: SubjectDatabase): Finding {
  const offMs = apart(redis, postgres)
  const about = {
    expected: "Redis's and Postgres's clocks within 1 s of each other",
    found: `${address === undefined ? '' : `${address}: `}Redis's clock is ${inWords(offMs)} of Postgres's`,
  }
  if (Math.abs(offMs) <= MOST_MS) return fine(REDIS, about)
  const isRedis = Math.abs(apart(redis, here)) > Math.abs(apart(postgres, here))
  const host = isRedis ? connection.where : database.where
  const whose = isRedis ? 'Redis' : 'Postgres'
  return wrong(
    REDIS,
    { ...about, found: `${about.found}; ${whose}'s differs from this process's too` },
    ...setClock(`the host of ${whose} (${host})`),
  )
}

async function ofProcesses(
  subject: Subject,
  { postgres, redis, here }: Record<'postgres' | 'here', Reading> & { redis: Reading | undefined },
) {
  const expected = "each process's clock within 1 s of Postgres's"
  const { processes, redis: byRedis, postgres: byPostgres } = await livingProcesses(subject.runtime)
  const others = processes.filter(({ alive, id }) => alive && id !== subject.runtime.identity.id)
  const redisAheadMs = redis ? redis.ms - postgres.ms : 0
  const seen = others.map(({ host, pid, role, clockMs, by }) => ({
    name: `the ${role} ${host}:${pid}`,
    host,
    offMs: clockMs + (by === 'redis' ? redisAheadMs : 0),
  }))
  const all = [{ name: 'this process', host: 'this host', offMs: apart(here, postgres) }, ...seen]
  const off = all.filter(({ offMs }) => Math.abs(offMs) > MOST_MS)
  const remedies = await sinceRemedies(subject)
  const findings = off.map(({ name, host, offMs }) => {
    const about = { expected, found: `the clock of ${name} is ${inWords(offMs)} of Postgres's` }
    if (remedies === undefined)
      return advice(PROCESS, { ...about, found: `${about.found}; no rule counts from what it writes` }, ...setClock(host))
    return wrong(
      PROCESS,
      { ...about, found: `${about.found}, and orders that it creates are due by that much too early or late` },
      ...setClock(host),
      ...remedies,
    )
  })
  if (findings.length > 0) return findings
  if (byRedis !== 'read' && byPostgres !== 'read') return [unseen(PROCESS, { expected, found: 'who else is alive could not be read' })]
  return [fine(PROCESS, { expected, found: `${all.length} checked` })]
}

/** Undefined if no rule counts from an instant that a process writes. */
async function sinceRemedies({ databases }: Subject): Promise<Remedy[] | undefined> {
  const remedies: Remedy[] = []
  for (const { rules, sequelize } of databases)
    for (const { row } of rules) {
      if (row.deadline.in !== 'since') continue
      const { table } = row.guard
      const field = table.attribute('"since"', row.deadline.attribute).field
      if (await writtenByDatabase(sequelize, table.tableText, field)) continue
      remedies.push(
        byHand(`or let Postgres write "${field}", whatever the clock of a process says:`),
        ...createdByPostgres(table.tableText, field).map(psql),
      )
    }
  return remedies.length === 0 ? undefined : remedies
}

function setClock(host: string): Remedy[] {
  return [shell(`timedatectl set-ntp true    # on ${host}`), byHand(`or set the clock of ${host} right in another way`)]
}

/** The minimum difference between the two, given the error of both readings. */
function apart(one: Reading, other: Reading): number {
  const ms = one.ms - other.ms
  return Math.sign(ms) * Math.max(0, Math.abs(ms) - one.errorMs - other.errorMs)
}

function inWords(ms: number): string {
  return `${(Math.abs(ms) / 1_000).toFixed(1)} s ${ms < 0 ? 'behind' : 'ahead'}`
}

async function readPostgres({ sequelize }: SubjectDatabase): Promise<Reading> {
  const sql = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now'
  return inTransaction(sequelize, QUESTION, (transaction) =>
    closest(async () => {
      const [row] = await rows<{ now: number }>(sequelize, sql, [], transaction)
      return Number(row?.now)
    }),
  )
}

function readRedis({ connection }: SubjectRedis): Promise<Reading> {
  return closest(async () => {
    const [seconds, microseconds] = await connection.run(WAIT_MS, (client) => client.time())
    return Number(seconds) * 1_000 + Number(microseconds) / 1_000
  })
}

/** The reading whose round trip was the shortest. */
async function closest(read: () => Promise<number>): Promise<Reading> {
  const readings: Reading[] = []
  for (let i = 0; i < READINGS; i += 1) {
    const askedAt = performance.now()
    const now = await read()
    const tookMs = performance.now() - askedAt
    readings.push({ ms: now - (askedAt + tookMs / 2), errorMs: tookMs / 2 })
  }
  return readings.sort((one, other) => one.errorMs - other.errorMs)[0] as Reading
}
