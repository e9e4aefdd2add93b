// Workers and shops as processes: killed, frozen, replaced, deployed one after the other, and killed between two steps of their work.

import { setTimeout as delay } from 'node:timers/promises'
import { scriptRequest } from '../../test/faults/script-request.js'
import type { ChildProgram } from '../../test/support/child-program.js'
import type { Direction, TcpProxy } from '../../test/support/tcp-proxy.js'
import type { Host } from '../host.js'
import { AT_ONCE, type Fault, type Faults, type Scene } from './fault.js'

/** How long a worker has to come to the step where it is killed. */
const STEP_WITHIN_MS = 4000
const ORDERLY_STOP_MS = 30_000
/** A deployment waits so long for a worker to be ready before it goes on to the next one. */
const READY_WITHIN_MS = 10_000

export const PROCESSES = {
  'worker-killed': {
    lasts: [200, 1500],
    async strike({ worker, witness }) {
      witness.saw(await killed(worker))
      return () => void worker.start()
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
      for (const worker of scene.world.workers) {
        const ready = await replace(scene, worker)
        await ready
      }
      return undefined
    },
  },
  'killed-in-claim': killedAt('redis', scriptRequest('orderTimersClaim'), 'replies'),
  'killed-before-settling': killedAt('postgres', 'SKIP LOCKED', 'requests'),
  'killed-before-commit': killedAt('postgres', 'COMMIT', 'requests'),
  'killed-in-commit': killedAt('postgres', 'COMMIT', 'replies'),
  'killed-before-finish': killedAt('redis', scriptRequest('orderTimersFinish'), 'requests'),
  'killed-in-sweep': killedAt('postgres', 'pg_try_advisory_xact_lock', 'replies'),
} satisfies Faults

/** A worker that is killed when it sends this request, or when the reply to it comes. */
function killedAt(server: 'redis' | 'postgres', request: string | string[], direction: Direction): Fault {
  return {
    lasts: [100, 1000],
    async strike({ worker, witness }) {
      const link: TcpProxy = worker.links[server]
      const point = link.hold(request, direction)
      const seen = await Promise.race([point.seen.then(() => true), delay(STEP_WITHIN_MS, false)])
      if (seen) witness.saw(await killed(worker))
      point.release()
      return () => {
        if (worker.process === undefined) worker.start()
      }
    },
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

/** The next one starts before the old one has stopped. Resolves, when the old one is gone, to whether the new one became ready. */
async function replace({ world, witness }: Scene, host: Host): Promise<Promise<unknown>> {
  const old = host.take()
  const ready = host
    .start()
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
