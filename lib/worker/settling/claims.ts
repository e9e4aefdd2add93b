// Work in hand: what this worker has claimed, from the due index under a lease, or, where Redis does not answer, in its own memory.
// Either way nobody else's claim can be ended by it, and what it says is to come back comes back.

import { randomUUID } from 'node:crypto'
import { Moment } from '../../moment.js'
import type { FailedTimers, Failure } from '../../redis/failed-timers.js'
import { BURST, type Claim, type Disposition, type Leases } from '../../redis/leases.js'
import type { Path } from '../events.js'
import { type Held, Lease, NEVER_LAPSES } from './lease.js'

export interface Work {
  kind: string
  via: Path
  ids: string[]
  /** The deadline of one of them, milliseconds, where the claim knows it. */
  deadlineOf(id: string): number | undefined
  /** By `performance.now()`: when the last of them is due. Until then they are only held. */
  dueAt?: number
  /** How long these orders are ours. */
  lease: Held
  /** Earlier failures of these orders. */
  failures(ids: readonly string[]): Promise<Map<string, Failure>>
  /** Ends the claim. */
  finish(dispositions: readonly Disposition[]): Promise<unknown>
}

/** How long before its deadline a timer is claimed, so that it is in hand when it is due. */
const AHEAD_MS = 3

/** Claims in the due index. */
export class IndexClaims {
  /** Acknowledgements that Redis did not answer or refused, by token: they are retried before another claim is made. Each is safe to repeat. */
  private readonly unacknowledged = new Map<string, { retry(): Promise<unknown>; at: Moment; leaseMs: number }>()
  private retrying: Promise<unknown> | undefined
  private reportLost: (kind: string) => void = () => {}

  constructor(
    private readonly redis: { leases: Leases; failures: FailedTimers },
    private readonly leaseMs: (kind: string) => number,
    private readonly skewMs: (kind: string) => number,
  ) {}

  /** Calls the listener whenever a claim shows that the index of a kind has lost data. */
  onLost(listener: (kind: string) => void): void {
    this.reportLost = listener
  }

  /**
   * The oldest that are due, or will be in a moment, so that Redis's answer is there when they are; and how long until the next should be
   * claimed (infinite: the index is empty).
   */
  async due(kind: string, limit: number): Promise<{ work: Work; untilNextMs: number }> {
    const skewMs = this.skewMs(kind)
    const sent = new Moment()
    const { token, ids, deadlines, now, next, burstLeft, leaseEnds, lost } = await this.known(kind, (token) =>
      this.redis.leases.claim(kind, token, { limit, leaseMs: this.leaseMs(kind), skewMs: skewMs + AHEAD_MS }),
    )
    if (lost) this.reportLost(kind)
    const untilDueMs = (deadline: number) => Math.max(0, deadline - (now + skewMs))
    const last = deadlines.at(-1)
    const dueAt = performance.now() + (last === undefined ? 0 : untilDueMs(last))
    const work = { ...this.work(kind, 'alarm', { token, ids }, sent, deadlines), dueAt }
    if (burstLeft) return { work, untilNextMs: 0 }
    // What a dead worker had claimed is claimed as soon as its lease has lapsed.
    const untilLapseMs = leaseEnds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, leaseEnds - now)
    if (next === undefined) return { work, untilNextMs: untilLapseMs }
    const leftMs = untilDueMs(next)
    return { work, untilNextMs: Math.min(untilLapseMs, Math.max(0, leftMs - (leftMs > BURST.withinMs ? BURST.withinMs : AHEAD_MS))) }
  }

  /** What the sweep found overdue; what its deadline was, the row itself tells. */
  async overdue(kind: string, overdue: readonly string[]): Promise<Work> {
    const sent = new Moment()
    const claim = await this.known(kind, (token) => this.redis.leases.takeOverdue(kind, token, this.leaseMs(kind), overdue))
    return this.work(kind, 'sweep', claim, sent)
  }

  async expired(kind: string, expired: readonly string[]): Promise<Work> {
    const sent = new Moment()
    const claim = await this.known(kind, (token) => this.redis.leases.takeExpired(kind, token, this.leaseMs(kind), expired))
    return this.work(kind, 'event', claim, sent)
  }

  private async known<T>(kind: string, claim: (token: string) => Promise<T>): Promise<T> {
    const token = randomUUID()
    // Whether a claim without an answer was carried out is not known, so it is given back.
    const giveBack = () => this.redis.leases.release(kind, token, this.skewMs(kind))
    await this.retryUnacknowledged()
    return this.answered(kind, token, giveBack, () => claim(token))
  }

  /** Acknowledgements older than the lease are dropped: the lease has expired. */
  private retryUnacknowledged(): Promise<unknown> {
    if (this.unacknowledged.size === 0) return Promise.resolve()
    this.retrying ??= Promise.all(
      [...this.unacknowledged].map(async ([token, { retry, at, leaseMs }]) => {
        if (at.passedMs() < leaseMs) await retry()
        this.unacknowledged.delete(token)
      }),
    ).finally(() => {
      this.retrying = undefined
    })
    return this.retrying
  }

  private async answered<T>(kind: string, token: string, retry: () => Promise<unknown>, send: () => Promise<T>): Promise<T> {
    const at = new Moment()
    try {
      return await send()
    } catch (error) {
      this.unacknowledged.set(token, { retry, at, leaseMs: this.leaseMs(kind) })
      throw error
    }
  }

  /** @param sent when the claim was sent */
  private work(kind: string, via: Path, { token, ids }: Claim, sent: Moment, deadlines: readonly number[] = []): Work {
    const { leases, failures } = this.redis
    const leaseMs = this.leaseMs(kind)
    return {
      kind,
      via,
      ids,
      deadlineOf: lookUp(ids, deadlines),
      lease: new Lease(leaseMs, sent, () => leases.keep(kind, token, leaseMs)),
      failures: (failed) => failures.of(kind, failed),
      finish: (dispositions) => this.finish(kind, token, dispositions, via === 'event' ? 'external' : 'settled'),
    }
  }

  private finish(kind: string, token: string, dispositions: readonly Disposition[], tombstone: 'settled' | 'external'): Promise<unknown> {
    const at = performance.now()
    const send = (dispositions: readonly Disposition[], again: boolean) =>
      this.redis.leases.finish(kind, token, this.skewMs(kind), dispositions, { tombstone, again })
    return this.answered(
      kind,
      token,
      () => send(later(dispositions, performance.now() - at), true),
      () => send(dispositions, false),
    )
  }
}

/** Claims in this process's memory, for the sweep while Redis does not answer. */
export class MemoryClaims {
  private readonly inHand = new Set<string>()
  private readonly failed = new Map<string, { failure: Failure; dueAt: number }>()

  overdue(kind: string, overdue: readonly string[]): Work {
    const ids = overdue.filter((id) => this.isFree(`${kind}:${id}`))
    const names = ids.map((id) => `${kind}:${id}`)
    for (const name of names) this.inHand.add(name)
    return {
      kind,
      via: 'sweep',
      ids,
      deadlineOf: () => undefined,
      lease: NEVER_LAPSES,
      failures: async (ids) => {
        return new Map(ids.flatMap((id) => Object.entries({ [id]: this.failed.get(`${kind}:${id}`)?.failure }).filter(isKnown)))
      },
      finish: async (dispositions) => {
        for (const name of names) {
          this.inHand.delete(name)
          this.failed.delete(name)
        }
        for (const { id, delayMs, failure } of dispositions) {
          if (failure) this.failed.set(`${kind}:${id}`, { failure, dueAt: performance.now() + (delayMs ?? Number.POSITIVE_INFINITY) })
        }
      },
    }
  }

  private isFree(name: string): boolean {
    return !this.inHand.has(name) && (this.failed.get(name)?.dueAt ?? 0) <= performance.now()
  }
}

/**
 * The same, as it is said so many milliseconds later. Meanwhile a sweep may have settled without Redis what is a dead letter here, and nobody
 * looks at a dead letter any more: so it gets one more attempt.
 */
function later(dispositions: readonly Disposition[], passedMs: number): Disposition[] {
  return dispositions.map((one) => {
    if (one.failure?.dead) return { id: one.id, delayMs: 0 }
    return one.delayMs === undefined ? one : { ...one, delayMs: Math.max(0, one.delayMs - passedMs) }
  })
}

/** Few rules ever ask, so the map is made when they do. */
function lookUp(ids: readonly string[], deadlines: readonly number[]): (id: string) => number | undefined {
  let byId: Map<string, number> | undefined
  return (id) => {
    byId ??= new Map(deadlines.map((deadline, i) => [ids[i] as string, deadline]))
    return byId.get(id)
  }
}

function isKnown(entry: [string, Failure | undefined]): entry is [string, Failure] {
  return entry[1] !== undefined
}
