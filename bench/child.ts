// A child process of the suite: one system's producer or worker, or an Express app, driven by messages from the suite.
// It ends when it is told to or when the suite is gone.
import type { Passed } from './express-app.js'
import { loadSystem, type SystemName } from './systems/index.js'
import { IN_FLIGHT, inBursts, keepInFlight, type Place, type Producer, type Worker, type WorkOrder } from './systems/system.js'

export interface Deadlines {
  firstId: number
  count: number
  /** The first deadline; the others follow it so many milliseconds apart. */
  dueAt: number
  spacingMs: number
}

interface Calling {
  firstId: number
  count: number
  delayMs: number
  inFlight?: number
  /** Instead of one call after the other: as many as are in flight begin together, so often, milliseconds. */
  everyMs?: number
}

let producer: Producer | undefined
let worker: Worker | undefined

/** What a child can be asked to do, by name. */
const calls = {
  async produce({ system, place }: { system: SystemName; place: Place }): Promise<void> {
    producer = await (await loadSystem(system)).produce(place)
  },

  /** @returns how long it took, in milliseconds */
  async schedule({ firstId, count, delayMs, inFlight = IN_FLIGHT, everyMs }: Calling): Promise<number> {
    await producer!.prepare?.(firstId, count, delayMs)
    const started = performance.now()
    const call = (index: number) => producer!.schedule(firstId + index, Date.now() + delayMs)
    await (everyMs === undefined ? keepInFlight(count, inFlight, call) : inBursts(count, inFlight, everyMs, call))
    return performance.now() - started
  },

  async load({ firstId, count, dueAt, spacingMs }: Deadlines): Promise<void> {
    await producer!.load(firstId, count, (index) => dueAt + index * spacingMs)
  },

  async closeProducer(): Promise<void> {
    await producer?.close()
  },

  async work({ system, order }: { system: SystemName; order: WorkOrder }): Promise<void> {
    worker = await (await loadSystem(system)).work(order)
  },

  async handled(): Promise<number> {
    return worker!.handled()
  },

  async detail(): Promise<Record<string, number>> {
    return worker!.detail?.() ?? {}
  },

  async closeWorker(): Promise<void> {
    await worker?.close()
  },

  /** @returns the CPU time of this process so far, in milliseconds */
  async cpuMs(): Promise<number> {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },

  async serveExpress(app: { place: Place; passed: Passed }): Promise<number> {
    return (await import('./express-app.js')).serveExpress(app)
  },

  async serveAdmin(place: Place): Promise<number> {
    return (await import('./express-app.js')).serveAdmin(place)
  },

  async timeMiddleware(trial: { place: Place; calls: number }): Promise<number> {
    return (await import('./express-app.js')).timeMiddleware(trial)
  },

  async end(): Promise<void> {
    setImmediate(() => process.exit(0))
  },
}

export type Calls = typeof calls

interface Question {
  number: number
  name: keyof Calls
  argument: never
}

process.on('message', async ({ number, name, argument }: Question) => {
  try {
    const answer = await calls[name](argument)
    process.send?.({ number, answer })
  } catch (error) {
    process.send?.({ number, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
})
process.on('disconnect', () => process.exit(0))
process.send?.({ number: 0 })
