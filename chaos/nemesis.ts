// Carries the plan of faults out, and notes when each began and ended. A fault that could not be brought about, because another one was
// in its way, is noted as such and not counted.

import { setTimeout as delay } from 'node:timers/promises'
import { FAULTS } from './faults.js'
import type { FaultKind, PlannedFault } from './plan.js'
import type { World } from './world.js'

export interface DoneFault {
  kind: FaultKind
  /** Milliseconds since 1970. */
  beganAt: number
  endedAt: number
}

export class Nemesis {
  readonly done: DoneFault[] = []

  constructor(
    private readonly world: World,
    private readonly say: (text: string) => void,
  ) {}

  async carryOut(plan: readonly PlannedFault[]): Promise<void> {
    const begin = performance.now()
    await Promise.all(
      plan.map(async (planned) => {
        await delay(Math.max(0, planned.atMs - (performance.now() - begin)))
        await this.bringAbout(planned)
      }),
    )
  }

  private async bringAbout(planned: PlannedFault): Promise<void> {
    const beganAt = Date.now()
    try {
      const end = await FAULTS[planned.kind](this.world, planned)
      this.say(`${(planned.atMs / 1000).toFixed(1)} s  ${planned.kind}`)
      await delay(Math.max(0, beganAt + planned.forMs - Date.now()))
      await end?.()
      this.done.push({ kind: planned.kind, beganAt, endedAt: Date.now() })
    } catch (error) {
      this.say(`${(planned.atMs / 1000).toFixed(1)} s  ${planned.kind} could not be brought about: ${(error as Error).message}`)
    }
  }
}
