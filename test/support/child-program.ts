// A program of the tests' own as a separate process: to be killed, frozen and told things. It gets its configuration as JSON in its first
// argument, says `ready` when it is, and talks in messages.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dieWithTests, enter } from './opened.js'
import { programArgs } from './programs.js'
import { inTime, waitForEvent } from './waiting.js'

export class ChildProgram {
  private readonly close: () => void

  private constructor(
    readonly child: ChildProcess,
    private readonly file: URL,
  ) {
    this.close = enter(`process ${child.pid} of ${file.pathname.split('/').at(-1)}`, () => this.kill())
    child.once('exit', this.close)
  }

  /** Starts it and waits until it is ready. */
  static async start<Config extends object>(file: URL, config: Config, options: { readyWithin?: number } = {}): Promise<ChildProgram> {
    const program = ChildProgram.launch(file, config)
    await program.receive('ready', options.readyWithin ?? 30_000)
    return program
  }

  /** Starts it, ready or not. */
  static launch(file: URL, config: object): ChildProgram {
    const args = [...programArgs(file), JSON.stringify(config)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    return new ChildProgram(dieWithTests(child), file)
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** The exit status, or the signal that ended it. */
  get end(): number | string | null {
    return this.child.exitCode ?? this.child.signalCode
  }

  send(message: object): void {
    if (this.child.connected) this.child.send(message)
  }

  /** Waits for a message `{ [name]: value }` and returns the value. */
  async receive<T = unknown>(name: string, within = 15_000): Promise<T> {
    type Message = Record<string, unknown>
    const what = `the message "${name}" of ${this.file.pathname.split('/').at(-1)}`
    const [message] = await waitForEvent<[Message]>(this.child, 'message', { within, what, where: (sent) => Object.hasOwn(sent, name) })
    return message[name] as T
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    if (!this.running) return
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }

  pause(): void {
    this.child.kill('SIGSTOP')
  }

  resume(): void {
    this.child.kill('SIGCONT')
  }

  /** Asks it to end by itself and returns its exit status. */
  async stop(within = 15_000): Promise<number | string | null> {
    if (!this.running) return this.end
    const gone = once(this.child, 'exit')
    this.send({ stop: true })
    await inTime(gone, within, `process ${this.child.pid} to end by itself`)
    return this.end
  }
}

/** The configuration, in the child. */
export function ownConfig<Config>(): Config {
  return JSON.parse(process.argv[2] as string) as Config
}

/** Tells the parent, in the child. */
export function tell(message: object): void {
  if (process.connected) process.send?.(message)
}

/** Does something for a message `{ [name]: value }` of the parent's, in the child. A parent that is gone ends the child. */
export function onTold(name: string, act: (value: never) => unknown): void {
  process.on('message', (message: Record<string, unknown>) => {
    if (Object.hasOwn(message, name)) void act(message[name] as never)
  })
}
