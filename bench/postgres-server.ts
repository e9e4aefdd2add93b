// One Postgres for the whole suite: settings as they come, and the instants of commits kept (track_commit_timestamp),
// which is how lateness is measured. Each measured run gets an empty database in it.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from './free-port.js'

export interface PostgresServer {
  version: string
  createDatabase(): Promise<Database>
  /** CPU time of Postgres's processes so far; undefined where the system doesn't tell. */
  cpuMs(): number | undefined
  stop(): Promise<void>
}

export interface Database {
  url: string
  sql: pg.Client
  drop(): Promise<void>
}

export async function startPostgres(): Promise<PostgresServer> {
  const bin = process.env.POSTGRES_BIN
  if (!bin) throw new Error('bench: it starts a Postgres of its own and needs POSTGRES_BIN; run `npm run bench`, without DATABASE_URL')
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'order-timers-bench-'))
  const databaseDir = join(folder, 'data')
  const user = serverUser()
  if (user) chownSync(folder, user.uid, user.gid)
  const options = { ...user, cwd: folder, stdio: 'ignore' as const }
  execFileSync(
    join(bin, 'initdb'),
    ['-D', databaseDir, '-U', 'bench', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'],
    options,
  )
  // A server that has been in use for a while has WAL files to write over; a new one would stand still for each that it makes.
  const wal = ['-c', 'min_wal_size=1GB']
  const flags = [...wal, '-c', 'track_commit_timestamp=on', '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=']
  const server = spawn(join(bin, 'postgres'), ['-D', databaseDir, '-p', `${port}`, ...flags], options)
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      server.kill('SIGINT')
      await once(server, 'exit')
    }
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const admin = await connectInTime(port)
    const { rows } = await admin.query("SELECT current_setting('server_version') version, current_setting('data_directory') directory")
    if (rows[0].directory !== databaseDir) throw new Error(`bench: another's Postgres has taken port ${port}`)
    return {
      version: rows[0].version,
      createDatabase: databasesOf(admin, port),
      cpuMs: () => cpuOfPostgres(server.pid!),
      stop: async () => {
        await admin.end()
        await stop()
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Postgres refuses to run as root; whoever starts the bench as root says as whom instead. */
function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  return { uid: Number(process.env.POSTGRES_UID ?? 65_534), gid: Number(process.env.POSTGRES_GID ?? 65_534) }
}

function databasesOf(admin: pg.Client, port: number): () => Promise<Database> {
  let databases = 0
  return async () => {
    databases += 1
    const name = `run_${databases}`
    await admin.query(`CREATE DATABASE ${name}`)
    const sql = await connect(port, name)
    const drop = async () => {
      await sql.end()
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
    }
    return { url: urlOf(port, name), sql, drop }
  }
}

async function connectInTime(port: number): Promise<pg.Client> {
  for (const end = Date.now() + 30_000; ; await sleep(50)) {
    try {
      return await connect(port, 'postgres')
    } catch (error) {
      if (Date.now() > end) throw error
    }
  }
}

function urlOf(port: number, database: string): string {
  return `postgres://bench@127.0.0.1:${port}/${database}`
}

async function connect(port: number, database: string): Promise<pg.Client> {
  const client = new pg.Client(urlOf(port, database))
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Linux alone says what its processes used; its clock tick is a hundredth of a second. */
function cpuOfPostgres(postmaster: number): number | undefined {
  try {
    let ticks = 0
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      ticks += ticksOf(Number(pid), postmaster)
    }
    return ticks * 10
  } catch {
    return undefined
  }
}

function ticksOf(pid: number, postmaster: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .map(Number)
    const [parent, own, reaped] = [fields[1], fields[11]! + fields[12]!, fields[13]! + fields[14]!]
    if (pid === postmaster) return own + reaped
    return parent === postmaster ? own : 0
  } catch {
    return 0
  }
}
