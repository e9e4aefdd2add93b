// Waiting for something to become true, with a limit.

import { setTimeout as delay } from 'node:timers/promises'

export async function waitFor<T>(what: string, limitMs: number, look: () => Promise<T | undefined | false>): Promise<T> {
  const limit = performance.now() + limitMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() > limit) throw new Error(`waited ${Math.round(limitMs)} ms in vain until ${what}`)
    await delay(10)
  }
}
