// Virtual time: timers, clocks and random numbers of this process, replaced while a simulation runs. One task runs at a time, with everything
// that it sets off in microtasks, and time jumps to the next one. Each task belongs to a simulated process, which can be killed or stand still.

import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'
import timersPromises from 'node:timers/promises'
import type { Random } from '../random.js'

interface Task {
  at: number
  order: number
  owner: string
  run: () => void
  cancelled: boolean
}

/** What is known of a simulated process. */
interface Owner {
  dead: boolean
  /** It stands still until then. */
  stillUntil: number
  /** How far its wall clock is off, milliseconds. */
  clockOffMs: number
}

/**
 * The wall clock's time at the start of each run: 2100-01-01. Far ahead, so that a real Redis that is given the same deadlines expires nothing by
 * itself.
 */
export const EPOCH_MS = 4_102_444_800_000

/** Owner of what belongs to no simulated process. */
const NOBODY = 'the simulation'

const realImmediate = globalThis.setImmediate

/** One turn of the real event loop: everything that was set off has run. */
const turn = () => new Promise<void>((resolve) => realImmediate(resolve))

export class VirtualTime {
  /** Milliseconds since the start. */
  now = 0
  steps = 0
  /** The process whose task is running. */
  owner = NOBODY
  private readonly heap: Task[] = []
  private readonly owners = new Map<string, Owner>()
  private order = 0

  constructor(readonly random: Random) {}

  /** Milliseconds since 1970, true time. */
  get epochMs(): number {
    return EPOCH_MS + this.now
  }

  /** A process, as far as time is concerned. */
  ownerOf(name: string): Owner {
    let owner = this.owners.get(name)
    if (!owner) {
      owner = { dead: false, stillUntil: 0, clockOffMs: 0 }
      this.owners.set(name, owner)
    }
    return owner
  }

  /** Nothing of a process runs for so long; what it was to do meanwhile it does then. */
  standStill(owner: string, ms: number): void {
    const of = this.ownerOf(owner)
    of.stillUntil = Math.max(of.stillUntil, this.now + ms) // a shorter one within it would put what comes later before what waits
  }

  /** Nothing of a process ever runs again. */
  end(owner: string): void {
    this.ownerOf(owner).dead = true
  }

  setClock(owner: string, offMs: number): void {
    this.ownerOf(owner).clockOffMs = offMs
  }

  /** Runs `act` as if the process did it. */
  as<T>(owner: string, act: () => T): T {
    const before = this.owner
    this.owner = owner
    try {
      return act()
    } finally {
      this.owner = before
    }
  }

  /** @returns a function that cancels it */
  schedule(owner: string, delayMs: number, run: () => void): () => void {
    const task: Task = { at: this.now + delayMs, order: this.order++, owner, run, cancelled: false }
    this.push(task)
    return () => {
      task.cancelled = true
    }
  }

  /** Runs tasks until the promise is settled. @throws where nothing is left to run, or virtual time passes the limit */
  async runUntil<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    let settled = false
    promise.then(
      () => {
        settled = true
      },
      () => {
        settled = true
      },
    )
    const latest = this.now + limitMs
    for (;;) {
      await turn()
      if (settled) return promise
      this.step()
      if (this.now > latest) throw new Error(`the simulation did not end within ${limitMs} ms of virtual time`)
    }
  }

  private step(): void {
    for (;;) {
      const task = this.pop()
      if (!task) throw new Error('the simulation waits for something that never comes')
      if (task.cancelled) continue
      const owner = this.ownerOf(task.owner)
      if (owner.dead) continue
      if (owner.stillUntil > task.at) {
        task.at = owner.stillUntil
        this.push(task) // keeps its order, as the event loop of a process that wakes up would
        continue
      }
      this.now = Math.max(this.now, task.at)
      this.steps += 1
      this.owner = task.owner // also while what it sets off runs
      task.run()
      return
    }
  }

  private push(task: Task): void {
    const { heap } = this
    let i = heap.push(task) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!isBefore(task, heap[parent] as Task)) break
      heap[i] = heap[parent] as Task
      i = parent
    }
    heap[i] = task
  }

  private pop(): Task | undefined {
    const { heap } = this
    const first = heap[0]
    const last = heap.pop()
    if (!first || !last || heap.length === 0) return first
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Task, heap[child] as Task)) child += 1
      if (!isBefore(heap[child] as Task, last)) break
      heap[i] = heap[child] as Task
      i = child
    }
    heap[i] = last
    return first
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** What Node's timers return. */
class SimulatedTimer {
  private cancel: () => void = () => {}

  constructor(
    private readonly time: VirtualTime,
    private readonly delayMs: number,
    private readonly repeats: boolean,
    private readonly act: () => void,
    private readonly owner = time.owner,
  ) {
    this.start()
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return true
  }

  refresh(): this {
    this.cancel()
    this.start()
    return this
  }

  close(): this {
    this.cancel()
    return this
  }

  private start(): void {
    this.cancel = this.time.schedule(this.owner, this.delayMs, () => {
      if (this.repeats) this.start()
      this.act()
    })
  }
}

/** A turn of an event loop takes some time: the package waits for the last part of a millisecond by turns. */
const TURN_MS = 0.05

type Replaceable = Record<string, unknown>

/** Replaces timers, clocks and random numbers by those of `time`. @returns puts back what was there */
export function install(time: VirtualTime): () => void {
  const undo: (() => void)[] = []
  const replace = (object: object, name: string, value: unknown) => {
    const target = object as Replaceable
    const own = Object.getOwnPropertyDescriptor(target, name)
    Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: own?.enumerable ?? true })
    undo.push(() => (own ? Object.defineProperty(target, name, own) : delete target[name]))
  }
  const delay = (ms: unknown) => Math.min(Math.max(1, Math.trunc(Number(ms) || 0)), 2 ** 31 - 1)
  const setTimeout = (act: (...values: unknown[]) => void, ms?: number, ...values: unknown[]) =>
    new SimulatedTimer(time, delay(ms), false, () => act(...values))
  const setInterval = (act: (...values: unknown[]) => void, ms?: number, ...values: unknown[]) =>
    new SimulatedTimer(time, delay(ms), true, () => act(...values))
  const setImmediate = (act: (...values: unknown[]) => void, ...values: unknown[]) =>
    new SimulatedTimer(time, TURN_MS, false, () => act(...values))
  const clear = (timer: unknown) => void (timer instanceof SimulatedTimer && timer.close())
  const wait = (ms: number, value: unknown, { signal }: { signal?: AbortSignal } = {}) =>
    new Promise((resolve, reject) => {
      const abort = () => {
        timer.close()
        reject(Object.assign(new Error('The operation was aborted', { cause: signal?.reason }), { name: 'AbortError', code: 'ABORT_ERR' }))
      }
      const timer = new SimulatedTimer(time, ms, false, () => {
        signal?.removeEventListener('abort', abort)
        resolve(value)
      })
      if (signal?.aborted) abort()
      else signal?.addEventListener('abort', abort, { once: true })
    })
  for (const target of [globalThis, timers]) {
    replace(target, 'setTimeout', setTimeout)
    replace(target, 'setInterval', setInterval)
    replace(target, 'setImmediate', setImmediate)
    for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) replace(target, name, clear)
  }
  replace(timersPromises, 'setTimeout', (ms?: number, value?: unknown, options?: { signal?: AbortSignal }) =>
    wait(delay(ms), value, options),
  )
  replace(timersPromises, 'setImmediate', (value?: unknown, options?: { signal?: AbortSignal }) => wait(TURN_MS, value, options))
  replace(performance, 'now', () => 1_000 + time.now)
  replace(globalThis, 'Date', simulatedDate(time))
  replace(Math, 'random', () => time.random.next())
  replace(crypto, 'randomUUID', () => uuid(time.random))
  syncBuiltinESMExports()
  return () => {
    for (const one of undo.reverse()) one()
    syncBuiltinESMExports()
  }
}

function simulatedDate(time: VirtualTime): DateConstructor {
  const RealDate = Date
  const now = () => Math.floor(time.epochMs + time.ownerOf(time.owner).clockOffMs)
  return class extends RealDate {
    // biome-ignore lint/suspicious/noExplicitAny: the constructor's own overloads
    constructor(...values: any[]) {
      if (values.length === 0) super(now())
      else super(...(values as [number]))
    }
    static override now = now
  } as unknown as DateConstructor
}

/** Unique over all runs of this process as well: node-cron keeps its tasks in one list for ever. */
let uuids = 0

function uuid(random: Random): string {
  const digits = () =>
    Math.floor(random.next() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  const text = digits() + digits() + digits() + digits()
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-8${text.slice(17, 20)}-${(++uuids).toString(16).padStart(12, '0')}`
}
