// The workers that run on some timers in this process, for code outside the worker.

import type { Runtime } from '../timers/runtime.js'
import type { ExpiryWorker } from './worker.js'

export function runningWorkers({ running }: Runtime): ExpiryWorker[] {
  return [...running] as ExpiryWorker[]
}
