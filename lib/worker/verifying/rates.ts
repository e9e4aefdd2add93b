// Enforces `perSecond`: in Redis for all workers together, and if Redis does not answer, only in this process.

import { setTimeout as delay } from 'node:timers/promises'
import type { SharedPace } from '../../redis/shared-pace.js'

/** The longest time that claimed orders wait for their question. */
export const LONGEST_WAIT_MS = 3_000

export class Rates {
  /** By kind: when everything reserved here is used up, by `performance.now()`. */
  private readonly usedUp = new Map<string, number>()

  constructor(private readonly shared: SharedPace | undefined) {}

  /**
   * Waits until `count` orders may be asked about.
   * @returns `waitedMs`, or `comeBackMs`: not possible before that
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
