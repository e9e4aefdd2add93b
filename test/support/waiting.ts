// Waiting for something to happen, always with a limit. Tests have no bare sleeps: they wait for a condition or an event, or they watch
// that something keeps holding for a while.

import type { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

export interface WaitOptions {
  /** The limit in milliseconds. Default: 15,000, which a busy machine needs for what takes a moment. */
  within?: number
  /** Milliseconds between two looks. Default: 10, and more the longer it takes, up to 50: looks at a database are what a waiting test costs. */
  every?: number
  /** What is waited for, as the error names it. */
  what?: string
}

/**
 * Looks again and again until `look` gives something truthy, and returns that. A look that throws counts as not yet; the error of the
 * last one is the cause when time is up.
 */
export async function waitUntil<T>(look: () => T | Promise<T>, options: WaitOptions = {}): Promise<NonNullable<T>> {
  const { within = 15_000, every, what = String(look) } = options
  const begunAt = performance.now()
  for (;;) {
    let seen: unknown
    try {
      const found = await look()
      if (found) return found as NonNullable<T>
      seen = found
    } catch (error) {
      seen = error
    }
    const waitedMs = performance.now() - begunAt
    if (waitedMs > within) throw new Error(`waited ${within} ms in vain for ${what}; last seen: ${seen}`, { cause: seen })
    await delay(every ?? Math.min(50, Math.max(10, waitedMs / 20)))
  }
}

/** Waits for an event, or for one whose arguments pass `where`, and returns its arguments. */
export function waitForEvent<Args extends unknown[] = unknown[]>(
  emitter: Pick<EventEmitter, 'on' | 'off'>,
  event: string,
  options: WaitOptions & { where?: (...args: Args) => boolean } = {},
): Promise<Args> {
  const { within = 15_000, what = `the event "${event}"`, where = () => true } = options
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => finish(() => reject(new Error(`waited ${within} ms in vain for ${what}`))), within)
    const onEvent = (...args: unknown[]): void => {
      if (where(...(args as Args))) finish(() => resolve(args as Args))
    }
    const finish = (settle: () => void): void => {
      clearTimeout(timer)
      emitter.off(event, onEvent)
      settle()
    }
    emitter.on(event, onEvent)
  })
}

/** Watches that `look` stays truthy for so many milliseconds, and throws at once when it doesn't. */
export async function holdsFor(ms: number, look: () => unknown, options: WaitOptions = {}): Promise<void> {
  const { every = 25, what = String(look) } = options
  const end = performance.now() + ms
  while (performance.now() < end) {
    if (!(await look())) throw new Error(`held no longer, ${Math.round(end - performance.now())} ms before the end: ${what}`)
    await delay(every)
  }
}

/** The promise's value, or an error when it takes longer. */
export async function inTime<T>(promise: Promise<T>, within: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${within} ms in vain for ${what}`)), within)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
