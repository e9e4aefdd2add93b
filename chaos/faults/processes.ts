// Workers and shops as processes: killed, frozen, replaced, deployed one after the other, and killed between two steps of their work.

import { setTimeout as delay } from 'node:timers/promises'
import { scriptRequest } from '../../test/faults/script-request.js'
import type { ChildProgram } from '../../test/support/child-program.js'
import type { Direction } from '../../test/support/tcp-proxy.js'
import type { RuleFacts } from '../history.js'
import type { Deployment, Host, Links } from '../host.js'
import { RULES } from '../rules.js'
import { AT_ONCE, type Fault, type Faults, type Scene } from './fault.js'

/** How long a worker has to come to the step where it is killed. */
const STEP_WITHIN_MS = 4000
const ORDERLY_STOP_MS = 30_000
/** A deployment waits so long for a worker to be ready before it goes on to the next one. */
const READY_WITHIN_MS = 10_000

/** With other rules every `after` is so many times as long. */
export const LONGER_AFTER = 2

export const PROCESSES = {
  'worker-killed': {
    lasts: [200, 1500],
    async strike({ worker, witness }) {
      witness.saw(await killed(worker))
      return () => void worker.start()
    },
  },
  /** Wishes that it had begun remain without an answer. */
  'shop-killed': {
    lasts: [200, 1500],
    async strike({ shop, witness }) {
      witness.saw(await killed(shop))
      return () => void shop.start()
    },
  },
  'worker-frozen': {
    lasts: [500, 4500],
    strike: ({ worker, witness }) => frozen(worker, witness),
  },
  'shop-frozen': {
    lasts: [500, 2500],
    strike: ({ shop, witness }) => frozen(shop, witness),
  },
  'worker-replaced': {
    lasts: AT_ONCE,
    async strike(scene) {
      await replace(scene, scene.worker)
      return undefined
    },
  },
  /** A deployment: every worker, one after the other. */
  'rolling-restart': {
    lasts: AT_ONCE,
    async strike(scene) {
      for (const worker of scene.world.workers) await replace(scene, worker)
      return undefined
    },
  },
  /** One worker has other rules for a while: every `after` twice as long, or one rule not at all. */
  'rules-changed': {
    lasts: [3000, 6000],
    async strike(scene) {
      const { worker, random } = scene
      const without = random.shuffled(RULES.filter(mayBeMissing))[0]!.kind
      await replace(scene, worker, random.chance(0.5) ? { afterTimes: LONGER_AFTER } : { without })
      return () => replace(scene, worker, {})
    },
  },
  /** One worker runs the package as it is in another checkout for a while, as in a rolling deployment of a release. */
  'other-version': {
    lasts: [4000, 8000],
    async strike(scene) {
      if (!scene.world.hasOther) throw new Error('it needs --beside')
      await replace(scene, scene.worker, { other: true })
      return () => replace(scene, scene.worker, {})
    },
  },
  'killed-in-claim': killedAt('redis', scriptRequest('orderTimersClaim'), 'replies'),
  'killed-before-settling': killedAt('postgres', 'SKIP LOCKED', 'requests'),
  'killed-before-commit': killedAt('postgres', 'COMMIT', 'requests'),
  'killed-in-commit': killedAt('postgres', 'COMMIT', 'replies'),
  'killed-before-finish': killedAt('redis', scriptRequest('orderTimersFinish'), 'requests'),
  'killed-in-sweep': killedAt('postgres', 'pg_try_advisory_xact_lock(', 'replies'),
  /** `afterCommit` has been called, and that is not written down. */
  'killed-in-delivery': killedAt('postgres', 'SET next_try = NULL, error = NULL', 'requests'),
  /** The deadline is on the row, and Redis does not know of it. */
  'shop-killed-before-arming': {
    lasts: [100, 1000],
    strike: (scene) => killAt(scene, scene.world.shops, 'redis', scriptRequest('orderTimersArm'), 'requests'),
  },
} satisfies Faults

/** A worker that lacks a rule cannot start its timers where another rule leads to it; the trigger can. */
function mayBeMissing({ kind, starts }: RuleFacts): boolean {
  return starts !== 'auto' || !RULES.some(({ next }) => next === kind)
}

/** The first worker that sends this request is killed then, or when the reply to it comes. */
function killedAt(server: 'redis' | 'postgres', request: string | string[], direction: Direction): Fault {
  return { lasts: [100, 1000], strike: (scene) => killAt(scene, scene.world.workers, server, request, direction) }
}

async function killAt({ witness }: Scene, hosts: readonly Host[], server: keyof Links, request: string | string[], direction: Direction) {
  const points = hosts.map((host) => ({ host, held: host.links[server].hold(request, direction) }))
  const first = await Promise.race([
    ...points.map(({ host, held }) => held.seen.then(() => host)),
    delay(STEP_WITHIN_MS, undefined, { ref: false }),
  ])
  if (first !== undefined) witness.saw(await killed(first))
  for (const { held } of points) held.release()
  return () => {
    if (first?.process === undefined) first?.start()
  }
}

async function killed(host: Host): Promise<boolean> {
  const process = host.take()
  if (process === undefined || !process.running) return false
  await process.kill()
  return true
}

function frozen({ process }: Host, witness: Scene['witness']): () => void {
  process?.pause()
  return () => {
    witness.saw(process?.running === true)
    process?.resume()
  }
}

/** The next one starts before the old one has stopped. Resolves when the old one is gone and the new one is ready, or late. */
async function replace({ world, witness }: Scene, host: Host, deployment?: Deployment): Promise<unknown> {
  const old = host.take()
  const ready = host
    .start(deployment)
    .receive('ready', READY_WITHIN_MS)
    .catch(() => {})
  const end = await ended(old)
  witness.saw(end === 0)
  if (end !== 0) world.broken.push(`${host.name} was told to stop and ended with ${end}`)
  return ready
}

async function ended(old: ChildProgram | undefined): Promise<unknown> {
  return old?.stop(ORDERLY_STOP_MS).catch(async (error: unknown) => {
    await old.kill()
    return String(error)
  })
}
