// The systems by name. An adapter is loaded in the process that drives it, so that none runs in another's.
import type { System } from './system.js'

export const SYSTEMS = ['express-order-timers', 'bullmq', 'bee-queue', 'graphile-worker', 'pg-boss', 'setex-listener', 'limit'] as const

export type SystemName = (typeof SYSTEMS)[number]

export const OURS: SystemName = 'express-order-timers'

const ADAPTERS: Record<SystemName, () => Promise<System>> = {
  'express-order-timers': async () => (await import('./express-order-timers.js')).expressOrderTimers,
  bullmq: async () => (await import('./bullmq.js')).bullmq,
  'bee-queue': async () => (await import('./bee-queue.js')).beeQueue,
  'graphile-worker': async () => (await import('./graphile-worker.js')).graphileWorker,
  'pg-boss': async () => (await import('./pg-boss.js')).pgBoss,
  'setex-listener': async () => (await import('./setex-listener.js')).setexListener,
  limit: async () => (await import('./limit.js')).limit,
}

export function loadSystem(name: SystemName): Promise<System> {
  return ADAPTERS[name]()
}
