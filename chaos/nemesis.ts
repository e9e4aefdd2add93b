// Carries the plan of faults out, and notes when each began and ended and how often it bit. Faults of a lane follow each other, also where
// one takes longer than was planned.

import { setTimeout as delay } from 'node:timers/promises'
import { type FaultKind, faultOf, kindsOf, LANES, type Lane, LOSES_DATA } from './faults/all.js'
import { type End, Witness } from './faults/fault.js'
import { trueNow } from './history.js'
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

/** What has not bitten is tried again so often, when the plan has been carried out. */
const FURTHER_TRIES = 4
const PAUSE_MS = 500
/** Postgres or Redis may be gone for a moment, by a fault of another lane. */
const END_TRIES = 3

export class Nemesis {
  readonly done: DoneFault[] = []

  constructor(
    private readonly world: World,
    private readonly say: (text: string) => void,
  ) {}

  async carryOut(faults: readonly PlannedFault[]): Promise<void> {
    const begin = performance.now()
    const lastAt = Math.max(0, ...faults.map(({ atMs, forMs }) => atMs + forMs))
    const now = () => performance.now() - begin
    await Promise.all(
      lanes(faults).map(async (planned) => {
        for (const fault of planned) {
          await delay(Math.max(0, fault.atMs - now()))
          // Earlier ones have taken longer than was planned.
          if (now() > lastAt) return
          await this.bringAbout(fault)
        }
      }),
    )
  }

  /** Of the kinds of a plan, those that have not bitten: a fault may have been in another one's way. */
  async tryAgain(faults: readonly PlannedFault[]): Promise<void> {
    for (let n = 0; n < FURTHER_TRIES; n += 1) {
      const kinds = new Set(faults.map(({ kind }) => kind))
      for (const { kind, bites } of this.done) if (bites > 0) kinds.delete(kind)
      const again = [...kinds].map((kind) => faults.find((fault) => fault.kind === kind)!)
      if (again.length === 0) return
      await this.world.everybodyReady()
      await Promise.all(
        lanes(again).map(async (planned) => {
          for (const fault of planned) {
            await this.bringAbout({ ...fault, seed: fault.seed + n + 1 })
            await delay(PAUSE_MS)
          }
        }),
      )
    }
  }

  /** How often each kind bit. */
  get bites(): Record<string, number> {
    const bites: Record<string, number> = {}
    for (const { kind, bites: times } of this.done) bites[kind] = (bites[kind] ?? 0) + times
    return bites
  }

  /** Kinds that were tried and never bit. */
  get toothless(): string[] {
    return Object.entries(this.bites).flatMap(([kind, times]) => (times > 0 ? [] : [kind]))
  }

  /** When Redis may have lost data. */
  get losses(): { beganAt: number; endedAt: number }[] {
    return this.done.filter(({ kind }) => LOSES_DATA.has(kind)).map(({ beganAt, endedAt }) => ({ beganAt, endedAt }))
  }

  private async bringAbout(planned: PlannedFault): Promise<void> {
    const { kind, atMs, forMs, host, seed } = planned
    const { world } = this
    const witness = new Witness()
    const beganAt = trueNow()
    let trouble = ''
    try {
      const worker = chosen(world.workers, host)
      const shop = chosen(world.shops, host)
      const end = await faultOf(kind).strike({ world, witness, random: new Random(seed), forMs, worker, shop })
      await delay(Math.max(0, beganAt + forMs - trueNow()))
      await heal(end)
    } catch (error) {
      trouble = `, and failed: ${(error as Error).message}`
    }
    this.done.push({ kind, beganAt, endedAt: trueNow(), bites: witness.bites })
    this.say(`${(atMs / 1000).toFixed(1)} s  ${kind} for ${trueNow() - beganAt} ms, bit ${witness.bites} times${trouble}`)
  }
}

async function heal(end: End | undefined): Promise<void> {
  for (let n = 1; ; n += 1) {
    try {
      await end?.()
      return
    } catch (error) {
      if (n === END_TRIES) throw error
    }
  }
}

function lanes(faults: readonly PlannedFault[]): PlannedFault[][] {
  return (Object.keys(LANES) as Lane[]).map((lane) => {
    const kinds = new Set(kindsOf(lane))
    return faults.filter(({ kind }) => kinds.has(kind))
  })
}

/** The host with this number, or the next one whose process is ready. */
function chosen(hosts: readonly Host[], number: number): Host {
  const first = number % hosts.length
  return [...hosts.slice(first), ...hosts.slice(0, first)].find(({ ready }) => ready) ?? hosts[first]!
}
