// Carries the plan of faults out, and notes when each began and ended and how often it bit. Faults of a lane follow each other, also where
// one takes longer than was planned.

import { setTimeout as delay } from 'node:timers/promises'
import { type FaultKind, faultOf, kindsOf, LANES, type Lane } from './faults/all.js'
import { Witness } from './faults/fault.js'
import type { Host } from './host.js'
import type { PlannedFault } from './plan.js'
import { Random } from './random.js'
import type { World } from './world.js'

export interface DoneFault {
  kind: FaultKind
  /** Milliseconds since 1970. */
  beganAt: number
  endedAt: number
  bites: number
}

export class Nemesis {
  readonly done: DoneFault[] = []

  constructor(
    private readonly world: World,
    private readonly say: (text: string) => void,
  ) {}

  async carryOut(faults: readonly PlannedFault[]): Promise<void> {
    const begin = performance.now()
    await Promise.all(
      (Object.keys(LANES) as Lane[]).map(async (lane) => {
        const kinds = new Set(kindsOf(lane))
        for (const planned of faults.filter(({ kind }) => kinds.has(kind))) {
          await delay(Math.max(0, planned.atMs - (performance.now() - begin)))
          await this.bringAbout(planned)
        }
      }),
    )
  }

  /** How often each kind bit. */
  get bites(): Record<string, number> {
    const bites: Record<string, number> = {}
    for (const { kind, bites: times } of this.done) bites[kind] = (bites[kind] ?? 0) + times
    return bites
  }

  private async bringAbout(planned: PlannedFault): Promise<void> {
    const { kind, atMs, forMs, host, seed } = planned
    const { world } = this
    const witness = new Witness()
    const beganAt = Date.now()
    let trouble = ''
    try {
      const worker = chosen(world.workers, host)
      const shop = chosen(world.shops, host)
      const end = await faultOf(kind).strike({ world, witness, random: new Random(seed), forMs, worker, shop })
      await delay(Math.max(0, beganAt + forMs - Date.now()))
      await end?.()
    } catch (error) {
      trouble = `, and failed: ${(error as Error).message}`
    }
    this.done.push({ kind, beganAt, endedAt: Date.now(), bites: witness.bites })
    this.say(`${(atMs / 1000).toFixed(1)} s  ${kind} for ${Date.now() - beganAt} ms, bit ${witness.bites} times${trouble}`)
  }
}

/** The host with this number, or the next one whose process is ready. */
function chosen(hosts: readonly Host[], number: number): Host {
  const first = number % hosts.length
  return [...hosts.slice(first), ...hosts.slice(0, first)].find(({ ready }) => ready) ?? hosts[first]!
}
