// Whether this process still works: its loops run. It asks no server, so it fails only if a restart of the process helps.

import type { Loop } from '../loop.js'
import type { Runtime } from '../timers/runtime.js'
import { runningWorkers } from '../worker/running.js'

/** Whether this process still works. */
export interface Live {
  status: 'ok' | 'failing'
  /** Loops that have hung for a minute or longer, with the seconds. */
  silent: { loop: string; seconds: number }[]
}

const SILENT_MS = 60_000

/** After the process itself stood still, its loops need a moment. */
const DOUBT_MS = 2_000

export class Liveness {
  private doubtSince: number | undefined

  constructor(private readonly runtime: Runtime) {}

  read(): Live {
    const silent = this.loops().filter(({ silentMs }) => silentMs > SILENT_MS)
    if (silent.length === 0) this.doubtSince = undefined
    else this.doubtSince ??= performance.now()
    const isSure = this.doubtSince !== undefined && performance.now() - this.doubtSince > DOUBT_MS
    return {
      status: isSure ? 'failing' : 'ok',
      silent: silent.map(({ name, silentMs }) => ({ loop: name, seconds: Math.round(silentMs / 1_000) })),
    }
  }

  private loops(): Loop[] {
    const { beats } = this.runtime
    const ofWorkers = runningWorkers(this.runtime).flatMap(({ parts }) => [...(parts.intake?.loops ?? []), parts.schedule.loop])
    return [...(beats ? [beats.loop] : []), ...ofWorkers]
  }
}
