// The screen "Processes": who is alive, and whether the rules' declared values are the same everywhere.

import type { ListedProcess, Processes } from '../../admin/processes.js'
import type { Runtime } from '../../timers/runtime.js'
import type { NowScreen } from './now.js'
import { PROCESSES_UNKNOWN } from './now-facts.js'

export interface ShownProcess
  extends Pick<ListedProcess, 'id' | 'host' | 'pid' | 'version' | 'role' | 'startedAt' | 'redis' | 'alive' | 'by' | 'ageMs' | 'clockMs'> {
  /** Rules whose values differ from those of this process. */
  differs: string[]
  /** Rules of this process that it does not have. */
  lacks: string[]
  isThis: boolean
}

export interface ShownProcesses {
  nowMs: number
  processes: ShownProcess[]
  redis: Processes['redis']
  postgres: Processes['postgres']
  /** Whether they are not known yet: then it is worth asking again in a moment. */
  looking: boolean
}

/** @param waitMs for how long to wait for what is not known */
export async function readProcesses(runtime: Runtime, now: NowScreen, waitMs: number): Promise<ShownProcesses> {
  const living = await now.living(waitMs)
  const { processes, redis, postgres } = living ?? PROCESSES_UNKNOWN
  const own = runtime.fingerprints
  return {
    nowMs: Date.now(),
    redis,
    postgres,
    looking: living === undefined,
    processes: processes.map(({ rules, redisData: _, databases: __, beatAt: ___, ...one }) => ({
      ...one,
      differs: Object.keys(own).filter((kind) => kind in rules && rules[kind] !== own[kind]),
      lacks: Object.keys(own).filter((kind) => !(kind in rules)),
      isThis: one.id === runtime.identity.id,
    })),
  }
}
