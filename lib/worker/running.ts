// The workers that run on some timers in this process, for code outside the worker. Their parts are private in the class's type: the package would
// otherwise ship the declarations of each part.

import type { Runtime } from '../timers/runtime.js'
import type { Assembly } from './assembly.js'
import type { Health } from './health.js'

export interface RunningWorker {
  health(): Health
  readonly parts: Assembly
}

export function runningWorkers({ running }: Runtime): RunningWorker[] {
  return [...running] as RunningWorker[]
}
