// Plays a story in a world of its own, heals what is broken at its end, waits until everything was due, and judges.

import { createHash } from 'node:crypto'
import { Faults } from './faults.js'
import { judge, type Verdict } from './judge.js'
import { Shop } from './shop.js'
import type { Story } from './story.js'
import { PAY_WITHIN_MS, SHOP, World } from './world.js'

/** Until workers have started. */
const START_MS = 3_000
/** All that is due is settled so long after everything is healed, and a sweep. */
const RECOVERY_MS = 2_000
/** How long after the last deadline Redis may still have traces of it. */
const TRACES_MS = 10_000
const LONGEST_MS = 3 * 3_600_000

export interface Outcome extends Verdict {
  virtualMs: number
  steps: number
  /** Of everything that happened, in order: the same for the same story. */
  trace: string
}

/** @param look is shown the world before anything happens */
export async function play(story: Story, look: (world: World) => void = () => {}): Promise<Outcome> {
  const world = new World(story)
  look(world)
  const note = (error: unknown) => void world.broken.push(`unhandled: ${(error as Error)?.stack ?? error}`)
  process.on('unhandledRejection', note)
  try {
    const shop = new Shop(world)
    const faults = new Faults(world, shop)
    const telling = world.time.as(SHOP, () => tell(story, world, shop, faults))
    await world.time.runUntil(telling, LONGEST_MS)
    for (const text of new Set(world.postgres.unknown)) world.broken.push(`not modelled: ${text}`)
    const history = { wishes: shop.wishes, faults: faults.all, losses: faults.losses }
    const everything = JSON.stringify([world.changes, world.handled, shop.wishes, world.time.steps])
    const trace = createHash('sha256').update(everything).digest('hex')
    return { ...judge(world, history), virtualMs: world.time.now, steps: world.time.steps, trace }
  } finally {
    process.off('unhandledRejection', note)
    world.close()
  }
}

async function tell({ workers, steps }: Story, world: World, shop: Shop, faults: Faults): Promise<void> {
  for (let i = 0; i < workers; i += 1) faults.startWorker()
  await world.wait(START_MS)
  for (const { after, step } of steps) {
    await world.wait(after)
    if (!shop.carryOut(step)) faults.carryOut(step)
  }
  await faults.heal()
  await comeToRest(world, shop)
  await Promise.race([Promise.all([shop.quiet(), faults.quiet()]), world.wait(30_000)])
}

async function comeToRest(world: World, shop: Shop): Promise<void> {
  for (;;) {
    await world.wait(1_000 * world.story.sweepEvery + RECOVERY_MS)
    const deadlines = world.orders().flatMap(({ status, deadline, createdAt }) => {
      if (status === 4 && deadline !== null) return [deadline]
      return status === 1 ? [createdAt + PAY_WITHIN_MS] : []
    })
    const calls = shop.wishes.flatMap(({ call, deadline }) => (call === 'call' && deadline ? [deadline] : []))
    const left = Math.max(0, ...deadlines, ...calls, ...world.redis.deadlines()) + TRACES_MS - world.time.epochMs
    if (left < 0) return
    await world.wait(left)
  }
}
