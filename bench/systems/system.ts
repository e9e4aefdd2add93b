// What the suite asks of each system: to schedule timers in one process and to settle orders in another.
// An adapter does both through the system's documented API, at the settings its documentation recommends for speed.
import { setTimeout as sleep } from 'node:timers/promises'

/** Where a system finds its servers and what it is to do there. */
export interface Place {
  redisUrl: string
  /** Of a cluster, where it is one. */
  nodes?: string[]
  /** Of Sentinels, where they say where Redis is. */
  sentinels?: string[]
  databaseUrl: string
  /** Which way of using the system, where it has several. */
  variant?: string | undefined
}

export interface Producer {
  /** What a shop's request has at hand before it schedules, such as the order itself; not measured. */
  prepare?(firstId: number, count: number, delayMs: number): Promise<void>
  /** One timer by one call, as a shop does it when an order is shipped. */
  schedule(id: number, dueAt: number): Promise<unknown>
  /** Many timers as fast as the system allows; timer number i of them is due at dueAt(i). */
  load(firstId: number, count: number, dueAt: (index: number) => number): Promise<void>
  close(): Promise<void>
}

export interface WorkOrder extends Place {
  /** The instant at which n orders come due; `limit` starts then and knows no other. */
  dueAt: number
  /** Between one deadline and the next; none where all are due at one instant. */
  spacingMs?: number
  n: number
}

export interface Worker {
  /** How many orders this worker worked at, repetitions included. */
  handled(): number
  /** What else this worker can tell of itself, by name. */
  detail?(): Record<string, number>
  close(): Promise<void>
}

export interface System {
  produce(place: Place): Promise<Producer>
  work(order: WorkOrder): Promise<Worker>
}

/** Jobs that a peer's worker runs at a time. */
export const CONCURRENCY = 50

/** Calls in flight where one call is made for each timer. */
export const IN_FLIGHT = 100

/** Makes calls 0 to n - 1 with so many in flight, as many requests at a time do. */
export async function keepInFlight(n: number, inFlight: number, call: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < n) {
      const index = next
      next += 1
      await call(index)
    }
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, n) }, lane))
}

/** Makes calls 0 to n - 1, so many at once, so often. Slower answers delay the next. */
export async function inBursts(n: number, size: number, everyMs: number, call: (index: number) => Promise<unknown>): Promise<void> {
  for (let first = 0; first < n; first += size) {
    const indexes = Array.from({ length: Math.min(size, n - first) }, (_, i) => first + i)
    await Promise.all([sleep(everyMs), ...indexes.map(call)])
  }
}

/** Calls in portions, one after the other: the first index of each and its size. */
export async function inPortions(count: number, size: number, call: (first: number, size: number) => Promise<unknown>): Promise<void> {
  for (let first = 0; first < count; first += size) {
    await call(first, Math.min(size, count - first))
  }
}
