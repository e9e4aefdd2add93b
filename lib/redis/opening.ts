// Opens a client, once, and reopens it if it ended by itself.

import type { Redis } from 'ioredis'

/** How long until a client that ended by itself is opened again. */
const REOPEN_EVERY_MS = 500

export interface OpeningListeners {
  /** What to wait for after the client is ready. */
  afterReady(): Promise<void>
  /** There is no connection. */
  onFailed(error: unknown): void
}

export class Opening {
  /** Resolves when the first attempt has ended; undefined before it has begun. */
  firstAttempt: Promise<void> | undefined
  private reopening: NodeJS.Timeout | undefined
  private closed = false

  constructor(
    private readonly client: Redis,
    private readonly listeners: OpeningListeners,
  ) {}

  once(): Promise<void> {
    if (this.firstAttempt) return this.firstAttempt
    this.firstAttempt = new Promise((resolve) => {
      this.client.once('ready', () => resolve(this.listeners.afterReady()))
      this.client.once('close', () => resolve())
      this.client.once('error', () => resolve()) // the only event if no Sentinel names a primary
    })
    this.connect()
    return this.firstAttempt
  }

  /** @returns whether it will be reopened: it was not closed for good */
  again(): boolean {
    if (this.closed) return false
    this.reopening = setTimeout(() => this.connect(), REOPEN_EVERY_MS).unref()
    return true
  }

  close(): void {
    this.closed = true
    clearTimeout(this.reopening)
  }

  private connect(): void {
    this.client.connect().catch((error) => this.listeners.onFailed(error))
  }
}
