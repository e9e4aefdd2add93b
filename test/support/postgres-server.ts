// A Postgres of a test's own, on a free port, to be crashed, frozen and started again on the same port and data. Its data are a copy of those in
// POSTGRES_TEMPLATE, and its binaries those in POSTGRES_BIN; scripts/run.mjs sets both, and where data go.

import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { freePort } from './free-port.js'
import { enter } from './opened.js'
import { postgresUser } from './postgres-user.js'
import { ServerProcess } from './server-process.js'

const run = promisify(execFile)

/** A crash of the server is no crash of the machine: what the kernel has, survives, so that nothing need be synced. */
const DEFAULTS = { fsync: 'off', full_page_writes: 'off', max_connections: '100', shared_buffers: '64MB', log_min_messages: 'log' }

export type Settings = Record<string, string>

export class PostgresServer {
  private readonly process = new ServerProcess()
  private readonly close: () => void

  private constructor(
    readonly port: number,
    readonly directory: string,
    private settings: Settings,
  ) {
    this.close = enter(`postgres on port ${port}`, () => this.stop())
  }

  /** Starts one. Settings are postgresql.conf's, such as `{ max_connections: '20' }`. */
  static async start(settings: Settings = {}): Promise<PostgresServer> {
    const directory = await newDirectory()
    await copyData(process.env.POSTGRES_TEMPLATE ?? (await template()), directory)
    const server = new PostgresServer(await freePort(), directory, settings)
    await server.restart()
    return server
  }

  /**
   * Starts a standby that follows this server, which is shut down while its data are copied: the binaries have no pg_basebackup. With settings
   * this server starts again with them.
   */
  async startStandby(settings: Settings = {}, own?: Settings): Promise<PostgresServer> {
    await this.shutDown()
    const directory = await newDirectory()
    await copyData(join(this.directory, 'data'), directory)
    await writeFile(join(directory, 'data', 'standby.signal'), '')
    const primary = `host=127.0.0.1 port=${this.port} user=postgres application_name=standby`
    const standby = new PostgresServer(await freePort(), directory, { primary_conninfo: primary, ...settings })
    await Promise.all([this.restart(own), standby.restart()])
    return standby
  }

  /** Starts a standby that follows this server, which goes on meanwhile. Its settings must keep the WAL that is written until then. */
  async addStandby(settings: Settings = {}): Promise<PostgresServer> {
    const directory = await newDirectory()
    const data = join(directory, 'data')
    const client = new Client(this.url)
    await client.connect()
    try {
      await client.query("SELECT pg_backup_start('standby', true)")
      await run('cp', ['-a', join(this.directory, 'data'), directory]).catch(() => {}) // a file may go while it is copied
      const { rows } = await client.query('SELECT labelfile FROM pg_backup_stop(false)')
      await writeOwn(join(data, 'backup_label'), rows[0].labelfile)
    } finally {
      await client.end()
    }
    await rm(join(data, 'postmaster.pid'), { force: true })
    await writeOwn(join(data, 'postgresql.auto.conf'), '')
    await writeOwn(join(data, 'standby.signal'), '')
    const primary = `host=127.0.0.1 port=${this.port} user=postgres application_name=standby`
    const standby = new PostgresServer(await freePort(), directory, { primary_conninfo: primary, ...settings })
    await standby.restart().catch(async (error) => {
      await standby.stop()
      throw error
    })
    return standby
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`
  }

  get running(): boolean {
    return this.process.running
  }

  get pid(): number {
    return this.process.pid
  }

  /** Starts it again on the same port and data, with other settings if given; crashes it first if it runs. */
  async restart(settings: Settings = this.settings): Promise<void> {
    await this.crash()
    this.settings = settings
    const options = Object.entries({ ...DEFAULTS, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    await this.process.start({
      file: binary('postgres'),
      args: ['-D', join(this.directory, 'data'), '-p', String(this.port), '-h', '127.0.0.1', '-k', '', ...options],
      cwd: this.directory,
      env: { ...process.env, LC_ALL: 'C' },
      user: postgresUser(),
      ready: /ready to accept (?:read-only )?connections/,
    })
  }

  /** An immediate shutdown: every connection breaks, every open transaction is lost, and the next start recovers. */
  async crash(): Promise<void> {
    await this.process.end('SIGQUIT')
  }

  /** A fast shutdown: every session is told so (57P01). */
  async shutDown(): Promise<void> {
    await this.process.end('SIGINT')
  }

  /** SIGSTOP for the postmaster and all its backends: connections stay open, nothing is answered. */
  async pause(): Promise<void> {
    process.kill(this.pid, 'SIGSTOP')
    for (const pid of await this.backends()) process.kill(pid, 'SIGSTOP')
  }

  async resume(): Promise<void> {
    for (const pid of await this.backends()) process.kill(pid, 'SIGCONT')
    process.kill(this.pid, 'SIGCONT')
  }

  /** Ends it for good and removes its data. */
  async stop(): Promise<void> {
    await this.crash()
    await rm(this.directory, { recursive: true, force: true })
    this.close()
  }

  private async backends(): Promise<number[]> {
    const children = await readFile(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8')
    return children.split(' ').filter(Boolean).map(Number)
  }
}

function binary(name: string): string {
  const folder = process.env.POSTGRES_BIN
  if (folder === undefined) throw new Error('POSTGRES_BIN is not set; run the tests by `npm test`')
  return join(folder, name)
}

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(process.env.POSTGRES_DATA ?? tmpdir(), 'order-timers-postgres-'))
  const user = postgresUser()
  if (user !== undefined) await chown(directory, user.uid, user.gid)
  return directory
}

/** The template belongs to whoever made it. */
async function copyData(from: string, directory: string): Promise<void> {
  const data = join(directory, 'data')
  await run('cp', ['-Rp', from, data])
  const user = postgresUser()
  if (user !== undefined) await run('chown', ['-R', `${user.uid}:${user.gid}`, data])
}

/** As Postgres's own user, who must be able to read it, and to write it when it is renamed. */
async function writeOwn(file: string, text: string): Promise<void> {
  await writeFile(file, text)
  const user = postgresUser()
  if (user !== undefined) await chown(file, user.uid, user.gid)
}

let initialised: Promise<string> | undefined

/** Where the tests' database is given, and so no template is there: `initdb` once in a test process. */
function template(): Promise<string> {
  initialised ??= newDirectory().then(async (directory) => {
    process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
    const args = ['-D', `${directory}/data`, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions']
    await run(binary('initdb'), args, { cwd: directory, ...postgresUser() })
    return join(directory, 'data')
  })
  return initialised
}
