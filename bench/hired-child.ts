// The suite's side of a child process: starts it, asks it by name, and ends it by its own process id.
// No question stays open for ever: each has a limit.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Calls } from './child.js'

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url))
const LIMIT_MS = 300_000

interface Answer {
  number: number
  answer?: unknown
  error?: string
}

export class HiredChild {
  readonly #process: ChildProcess
  readonly #open = new Map<number, { resolve(answer: never): void; reject(error: Error): void }>()
  #lastNumber = 0
  #spoke = ''

  private constructor(profileDir: string | undefined) {
    const profile = profileDir ? ['--cpu-prof', `--cpu-prof-dir=${profileDir}`] : []
    this.#process = fork(CHILD, [], { execArgv: [...process.execArgv, ...profile], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (chunk) => {
        this.#spoke = (this.#spoke + chunk).slice(-2_000)
      })
    }
    this.#process.on('message', (answer: Answer) => this.#take(answer))
    this.#process.on('exit', (code, signal) => this.#fail(new Error(`a child process ended (${signal ?? code}): ${this.#spoke}`)))
    this.#process.on('error', (error) => this.#fail(error))
  }

  static async hire(profileDir?: string): Promise<HiredChild> {
    const child = new HiredChild(profileDir)
    await child.#answerTo(0, 30_000, 'start')
    return child
  }

  ask<Name extends keyof Calls>(name: Name, argument?: Parameters<Calls[Name]>[0], limitMs = LIMIT_MS): ReturnType<Calls[Name]> {
    this.#lastNumber += 1
    const number = this.#lastNumber
    this.#process.send({ number, name, argument })
    return this.#answerTo(number, limitMs, name) as ReturnType<Calls[Name]>
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const gone = once(this.#process, 'exit')
    const impatient = setTimeout(() => this.#process.kill('SIGKILL'), 5_000)
    this.ask('end').catch(() => {})
    await gone
    clearTimeout(impatient)
  }

  #answerTo(number: number, limitMs: number, name: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        this.#open.delete(number)
        reject(new Error(`a child process did not answer "${name}" within ${limitMs / 1000} s: ${this.#spoke}`))
      }, limitMs)
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          clearTimeout(limit)
          this.#open.delete(number)
          settle(value)
        }
      this.#open.set(number, { resolve: settled(resolve), reject: settled(reject) })
    })
  }

  #take({ number, answer, error }: Answer): void {
    const open = this.#open.get(number)
    if (error === undefined) open?.resolve(answer as never)
    else open?.reject(new Error(error))
  }

  #fail(error: Error): void {
    for (const open of this.#open.values()) open.reject(error)
  }
}
