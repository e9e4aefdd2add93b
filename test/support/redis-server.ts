// A Redis of a test's own, on a free port and a directory of its own, to be killed, frozen and started again on the same port and data.
// Default: no persistence, so that a restart finds it empty. The binary is the one in REDIS_SERVER, or redis-server on the PATH.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.js'
import { enter } from './opened.js'
import { ServerProcess } from './server-process.js'

const DEFAULTS = ['--save', '', '--appendonly', 'no', '--notify-keyspace-events', 'Ex']

const MOST_ATTEMPTS = 5

export class RedisServer {
  private readonly process = new ServerProcess()
  private readonly close: () => void
  private isFrozen = false

  private constructor(
    readonly port: number,
    readonly directory: string,
    public args: readonly string[],
  ) {
    this.close = enter(`redis-server on port ${port}`, () => this.stop())
  }

  /** Starts one. Arguments are redis-server's own, such as `['--appendonly', 'yes']`. */
  static async start(args: string[] = []): Promise<RedisServer> {
    return RedisServer.startOnFreePorts(() => args)
  }

  /** With other arguments in each attempt: a port that was free a moment ago may be in use by now. */
  static async startOnFreePorts(argsOf: () => string[] | Promise<string[]>): Promise<RedisServer> {
    for (let attempt = 1; ; attempt += 1) {
      const server = await RedisServer.prepare(await argsOf())
      try {
        await server.restart()
        return server
      } catch (error) {
        await server.stop()
        if (attempt === MOST_ATTEMPTS || !String(error).includes('Address already in use')) throw error
      }
    }
  }

  /** A port and a directory, and nothing that runs yet: a Redis that is down at first. */
  static async prepare(args: string[] = []): Promise<RedisServer> {
    return new RedisServer(await freePort(), await mkdtemp(join(tmpdir(), 'order-timers-redis-')), args)
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.process.pid
  }

  get running(): boolean {
    return this.process.running
  }

  /** Whether it runs and is not stopped by `pause`. */
  get answering(): boolean {
    return this.running && !this.isFrozen
  }

  /**
   * Starts it again on the same port and directory, with other arguments if given; kills it first if it runs.
   * @param ready what it prints when it has started
   */
  async restart(args: readonly string[] = this.args, ready = /Ready to accept connections/): Promise<void> {
    await this.kill()
    this.args = args
    await this.process.start({
      file: process.env.REDIS_SERVER ?? 'redis-server',
      args: ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.directory, '--daemonize', 'no', ...DEFAULTS, ...args],
      cwd: this.directory,
      ready,
    })
  }

  /** SIGKILL: nothing is saved. */
  async kill(): Promise<void> {
    await this.process.end('SIGKILL')
    this.isFrozen = false
  }

  /** SIGSTOP: connections stay open, nothing is answered. */
  pause(): void {
    process.kill(this.pid, 'SIGSTOP')
    this.isFrozen = true
  }

  resume(): void {
    if (this.running) process.kill(this.pid, 'SIGCONT')
    this.isFrozen = false
  }

  /** Ends it for good and removes its data. */
  async stop(): Promise<void> {
    await this.process.end('SIGKILL')
    await rm(this.directory, { recursive: true, force: true })
    this.close()
  }
}
