// The worker, in this process or as one of its own, which a supervisor starts again when it dies.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type ExpiryWorker, startExpiryWorker } from 'express-order-timers'
import { timers } from './timers.js'

/** A shop's is every minute; here one wants to watch. */
export const SWEEP = '*/5 * * * * *'

export interface ShopWorker {
  /** Since when it runs, by Date.now(). */
  readonly runsSince: number | undefined
  start(): Promise<void>
  stop(): Promise<void>
  /** Undefined where it cannot be killed without the shop. Whether there was one to kill. */
  kill?(): boolean
}

export class WorkerHere implements ShopWorker {
  runsSince: number | undefined
  private worker: ExpiryWorker | undefined

  async start(): Promise<void> {
    if (this.worker) return
    this.worker = startExpiryWorker(timers, { fallback: SWEEP })
    this.runsSince = Date.now()
    await this.worker.ready
  }

  async stop(): Promise<void> {
    const { worker } = this
    this.worker = undefined
    this.runsSince = undefined
    await worker?.stop()
  }
}

export class WorkerProcess implements ShopWorker {
  runsSince: number | undefined
  private child: ChildProcess | undefined
  private wanted = false

  async start(): Promise<void> {
    this.wanted = true
    if (this.child) return
    const program = fileURLToPath(new URL('worker.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', 'tsx', program], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child = child
    child.once('exit', () => this.onExit())
    await Promise.race([once(child, 'message'), once(child, 'exit')])
    if (this.child === child) this.runsSince = Date.now()
  }

  async stop(): Promise<void> {
    this.wanted = false
    const { child } = this
    if (!child) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }

  kill(): boolean {
    return this.child?.kill('SIGKILL') ?? false
  }

  private onExit(): void {
    this.child = undefined
    this.runsSince = undefined
    if (this.wanted) setTimeout(() => this.wanted && void this.start(), 1_000).unref()
  }
}
