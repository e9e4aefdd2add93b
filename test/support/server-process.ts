// A server that tests start, kill, freeze and start again on the same port: what redis-server.ts and postgres-server.ts have in common.
// It is ready when a line of its output says so.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dieWithTests } from './opened.js'
import { inTime } from './waiting.js'

export interface ServerCommand {
  file: string
  args: string[]
  cwd: string
  ready: RegExp
  env?: NodeJS.ProcessEnv | undefined
  /** Another user to run as; root only. */
  user?: { uid: number; gid: number } | undefined
}

export class ServerProcess {
  private child: ChildProcess | undefined
  private output = ''

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  get pid(): number {
    if (!this.running) throw new Error('the server is not running')
    return this.child!.pid!
  }

  /** The last of what it printed. */
  get log(): string {
    return this.output
  }

  async start(command: ServerCommand): Promise<void> {
    if (this.running) throw new Error(`${command.file} is running already`)
    const { file, args, cwd, env, user } = command
    const child = dieWithTests(spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], ...(env && { env }), ...user }))
    this.child = child
    this.output = ''
    await inTime(this.readiness(child, command.ready), 30_000, `${file} to start`).catch((cause: unknown) => {
      child.kill('SIGKILL')
      throw new Error(`${file} ${args.join(' ')} did not start: ${this.output}`, { cause })
    })
  }

  /** Sends a signal and waits until the process is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.running) return
    const gone = once(this.child!, 'exit')
    this.child!.kill(signal)
    if (signal !== 'SIGKILL') this.child!.kill('SIGCONT')
    await inTime(gone, 20_000, `a server to end on ${signal}`)
  }

  private readiness(child: ChildProcess, ready: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        this.output = `${this.output}${chunk}`.slice(-8000)
        if (ready.test(this.output)) resolve()
      }
      child.stdout?.on('data', onData)
      child.stderr?.on('data', onData)
      child.once('error', reject)
      child.once('exit', (code, signal) => reject(new Error(`it ended with ${code ?? signal}`)))
    })
  }
}
