// Keeps `perSecond`: in Redis for all workers together, and where Redis does not answer in this process alone.

import { setTimeout as delay } from 'node:timers/promises'
import type { SharedPace } from '../../redis/shared-pace.js'

/** Orders are not held under a claim for longer than this before they are asked about. */
export const LONGEST_WAIT_MS = 3_000

export class Rates {
  /** By kind: when all that was reserved here is used up, of `performance.now()`. */
  private readonly usedUp = new Map<string, number>()

  constructor(private readonly shared: SharedPace | undefined) {}

  /**
   * Waits until so many orders may be asked about.
   * @returns `waitedMs`, or `comeBackMs`: there is no room before that
   */
  async wait(kind: string, count: number, perSecond: number, leaving: AbortSignal): Promise<{ waitedMs: number } | { comeBackMs: number }> {
    const waitMs = (await this.shared?.reserve(kind, count, perSecond, LONGEST_WAIT_MS)) ?? this.reserve(kind, count, perSecond)
    if (waitMs > LONGEST_WAIT_MS) return { comeBackMs: Math.ceil(waitMs - LONGEST_WAIT_MS) }
    if (waitMs > 0) await delay(waitMs, undefined, { signal: leaving }).catch(() => {})
    return { waitedMs: waitMs }
  }

  private reserve(kind: string, count: number, perSecond: number): number {
    const now = performance.now()
    const from = Math.max(now, this.usedUp.get(kind) ?? 0)
    if (from - now <= LONGEST_WAIT_MS) this.usedUp.set(kind, from + (count * 1000) / perSecond)
    return from - now
  }
}
