// A Redis of its own for one measured run: empty, on loopback, without persistence, with expiry events on.
// The binary is REDIS_SERVER, or redis-server or valkey-server on the PATH.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort } from './free-port.js'

export interface RedisServer {
  url: string
  client: Redis
  stop(): Promise<void>
}

export interface RedisUse {
  memoryBytes: number
  cpuMs: number
  /** Those within scripts too. */
  commands: number
}

export async function startRedis(more: readonly string[] = []): Promise<RedisServer> {
  const port = await freePort()
  const options = [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--notify-keyspace-events',
    'Ex',
    ...more,
  ]
  const server = spawn(redisBinary(), options, { stdio: 'ignore' })
  const client = new Redis(port, '127.0.0.1', { lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => 20 })
  client.on('error', () => {})
  const info = await Promise.race([client.info('server'), once(server, 'exit'), sleep(10_000, 'silent', { ref: false })])
  // Another's server may have taken the port first.
  if (!String(info).includes(`process_id:${server.pid}\r`)) {
    client.disconnect()
    server.kill('SIGKILL')
    throw new Error(`bench: redis-server did not start on port ${port}`)
  }
  return { url: `redis://127.0.0.1:${port}`, client, stop: () => stopRedis(server, client) }
}

async function stopRedis(server: ChildProcess, client: Redis): Promise<void> {
  client.disconnect()
  if (server.exitCode !== null || server.signalCode !== null) return
  server.kill('SIGKILL')
  await once(server, 'exit')
}

export async function redisUse(client: Redis): Promise<RedisUse> {
  const info = `${await client.info('memory')}\n${await client.info('cpu')}\n${await client.info('stats')}`
  const field = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? Number.NaN)
  return {
    memoryBytes: field('used_memory'),
    cpuMs: (field('used_cpu_user') + field('used_cpu_sys')) * 1000,
    commands: field('total_commands_processed'),
  }
}

export function redisVersion(): string {
  const line = execFileSync(redisBinary(), ['--version'], { encoding: 'utf8' })
  return /v=([\d.]+)/.exec(line)?.[1] ?? line.trim()
}

function redisBinary(): string {
  if (process.env.REDIS_SERVER) return process.env.REDIS_SERVER
  for (const name of ['redis-server', 'valkey-server']) {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' })
      return name
    } catch {
      // Not on the PATH: the next name.
    }
  }
  throw new Error('bench: no redis-server found; run `npm run bench`, which installs one, or set REDIS_SERVER to its path')
}
