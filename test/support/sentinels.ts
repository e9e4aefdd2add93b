// A primary, a replica and three Sentinels of a test's own, on free ports: plain, or over TLS alone. The Sentinels call the primary "shop",
// and take a second of silence for its death.

import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env } from 'node:process'
import { Redis, type RedisOptions } from 'ioredis'
import { freePort } from './free-port.js'
import { enter } from './opened.js'
import { RedisServer } from './redis-server.js'
import { ServerProcess } from './server-process.js'
import { VALID } from './tls-server.js'
import { waitUntil } from './waiting.js'

const NAME = 'shop'
const DOWN_AFTER_MS = 1000

/** What a client of a server with TLS needs; the certificate is made for this name. */
const TLS = { ca: VALID.cert, servername: 'redis.test' }

export interface SentinelsOptions {
  tls?: boolean
  /** More of the replica's arguments: what it is as the new primary. */
  replica?: string[]
  /** Sentinel's failover-timeout; a further failover begins no sooner than twice as long after the last one. */
  failoverTimeoutMs?: number
}

export class Sentinels {
  private readonly struckOut = enter('three Sentinels', () => this.stop())
  private readonly clients = new Map<number, Redis>()

  private constructor(
    readonly first: RedisServer,
    readonly second: RedisServer,
    readonly ports: number[],
    private readonly processes: ServerProcess[],
    private readonly directory: string,
    private readonly tls: boolean,
  ) {}

  /** Resolves when each Sentinel knows the replica and the other Sentinels: only then may they fail over. */
  static async start({ tls = false, replica = [], failoverTimeoutMs = 6_000 }: SentinelsOptions = {}): Promise<Sentinels> {
    const directory = await mkdtemp(join(tmpdir(), 'order-timers-sentinels-'))
    const encryption = tls ? await encryptionIn(directory) : []
    const settings = ['--repl-diskless-sync-delay', '0', ...encryption]
    const listening = (port: number) => (tls ? ['--tls-port', String(port), '--port', '0'] : ['--port', String(port)])
    const first = await RedisServer.prepare()
    await first.restart([...settings, ...listening(first.port)])
    const second = await RedisServer.prepare()
    await second.restart([...settings, ...listening(second.port), '--replicaof', '127.0.0.1', String(first.port), ...replica])

    const ports: number[] = []
    const processes: ServerProcess[] = []
    for (let i = 1; i <= 3; i += 1) {
      const port = await freePort()
      const file = fileOf(directory, i)
      await writeFile(
        file,
        `${[...configuration(directory, first.port, failoverTimeoutMs), ...conf(encryption), ...conf(listening(port))].join('\n')}\n`,
      )
      const one = new ServerProcess()
      await startSentinel(one, directory, i)
      ports.push(port)
      processes.push(one)
    }
    const sentinels = new Sentinels(first, second, ports, processes, directory, tls)
    await sentinels.areReady()
    return sentinels
  }

  /** ioredis's options, as a shop gives them. */
  get options(): RedisOptions {
    const encryption = this.tls ? { tls: TLS, sentinelTLS: TLS, enableTLSForSentinelMode: true } : {}
    return { sentinels: this.ports.map((port) => ({ host: '127.0.0.1', port })), name: NAME, ...encryption }
  }

  /** A client of this server or Sentinel alone; `stop` closes it. */
  client(port: number): Redis {
    const known = this.clients.get(port)
    if (known) return known
    const client = new Redis({
      host: '127.0.0.1',
      port,
      ...(this.tls && { tls: TLS }),
      maxRetriesPerRequest: null,
      retryStrategy: () => 100,
    })
    client.on('error', () => {})
    this.clients.set(port, client)
    return client
  }

  /** What an operator types: the Sentinels make the replica the primary, and then the primary a replica. */
  async failOver(): Promise<void> {
    await this.client(this.ports[0]!).call('SENTINEL', 'FAILOVER', NAME)
  }

  /** The server that a Sentinel names as the primary. */
  async primary(): Promise<RedisServer> {
    const [, port] = (await this.client(this.ports[0]!).call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as string[]
    return Number(port) === this.first.port ? this.first : this.second
  }

  /** Resolves when this server follows the other one, and each Sentinel would promote it. */
  async isReplica(server: RedisServer, within = 30_000): Promise<void> {
    const follows = async () => {
      if (!(await this.client(server.port).info('replication')).includes('master_link_status:up')) return false
      const known = await Promise.all(this.ports.map((port) => this.client(port).call('SENTINEL', 'REPLICAS', NAME) as Promise<string[][]>))
      return known.every((replicas) => replicas.length === 1 && fieldOf(replicas[0]!, 'flags') === 'slave')
    }
    await waitUntil(follows, { within, what: 'the server to follow the primary', every: 100 })
  }

  /** Resolves when most of the Sentinels say that this one is the primary. */
  async arePointingAt(server: RedisServer, within = 30_000): Promise<void> {
    const clients = this.ports.map((port) => this.client(port))
    const agreeing = async () => {
      const answers = await Promise.all(
        clients.map((client) => client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME) as Promise<string[]>),
      )
      return answers.filter(([, port]) => Number(port) === server.port).length >= 2
    }
    await waitUntil(agreeing, { within, what: 'the Sentinels to agree on the primary', every: 100 })
  }

  /** SIGKILL for all three; the primary and the replica go on. */
  async kill(): Promise<void> {
    await Promise.all(this.processes.map((one) => one.end('SIGKILL')))
  }

  /** Starts them again as they were. */
  async restart(): Promise<void> {
    await Promise.all(this.processes.map((one, i) => startSentinel(one, this.directory, i + 1)))
  }

  async stop(): Promise<void> {
    for (const client of this.clients.values()) client.disconnect()
    await this.kill()
    await Promise.all([this.first.stop(), this.second.stop()])
    await rm(this.directory, { recursive: true, force: true })
    this.struckOut()
  }

  private async areReady(): Promise<void> {
    const clients = this.ports.map((port) => this.client(port))
    const ready = async () => {
      const known = await Promise.all(clients.map((client) => client.call('SENTINEL', 'MASTER', NAME) as Promise<string[]>))
      return known.every((fields) => fieldOf(fields, 'num-slaves') === '1' && fieldOf(fields, 'num-other-sentinels') === '2')
    }
    await waitUntil(ready, { within: 30_000, what: 'the Sentinels to know each other and the replica', every: 100 })
    const replica = this.client(this.second.port)
    await waitUntil(async () => (await replica.info('replication')).includes('master_link_status:up'), { within: 30_000, every: 100 })
  }
}

async function startSentinel(process: ServerProcess, directory: string, i: number): Promise<void> {
  const file = env.REDIS_SERVER ?? 'redis-server'
  await process.start({ file, args: [fileOf(directory, i), '--sentinel'], cwd: directory, ready: /\+monitor master/ })
}

/** A Sentinel writes into its file what it learns. */
function fileOf(directory: string, i: number): string {
  return join(directory, `sentinel-${i}.conf`)
}

function configuration(directory: string, primaryPort: number, failoverTimeoutMs: number): string[] {
  return [
    ...['bind 127.0.0.1', `dir ${directory}`],
    `sentinel monitor ${NAME} 127.0.0.1 ${primaryPort} 2`,
    `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${NAME} ${failoverTimeoutMs}`,
  ]
}

/** The arguments as lines of a configuration file. */
function conf(args: string[]): string[] {
  return args.flatMap((arg, i) => (arg.startsWith('--') ? [`${arg.slice(2)} ${args[i + 1]}`] : []))
}

async function encryptionIn(directory: string): Promise<string[]> {
  const [key, certificate, authority] = ['key', 'certificate', 'authority'].map((name) => join(directory, `${name}.pem`)) as [
    string,
    string,
    string,
  ]
  await writeFile(key, VALID.key)
  await writeFile(certificate, VALID.cert)
  await copyFile(certificate, authority)
  return [
    '--tls-key-file',
    key,
    '--tls-cert-file',
    certificate,
    '--tls-ca-cert-file',
    authority,
    '--tls-auth-clients',
    'no',
    '--tls-replication',
    'yes',
  ]
}

function fieldOf(fields: string[], name: string): string | undefined {
  return fields[fields.indexOf(name) + 1]
}
