// Short chaos runs on servers that fail over, each with a fixed plan: what `npm run chaos -- --redis … --postgres …` plays for longer.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Plan, PlannedFault } from '../../chaos/plan.js'
import type { RunResult } from '../../chaos/run.js'

type Kind = PlannedFault['kind']

/** Those of Redis and of Postgres follow each other, as they are listed. */
function planOf(servers: Pick<Plan, 'redis' | 'postgres'>, kinds: readonly Kind[]): Plan {
  const faults = kinds.map((kind, i) => ({ kind, atMs: 1_500 + 100 * i, forMs: 100, host: 1, seed: 7 + i }))
  return { seed: 11, seconds: 8, workers: 2, ordersPerSecond: 60, ...servers, faults }
}

async function run(plan: Plan): Promise<RunResult> {
  const directory = await mkdtemp(join(tmpdir(), 'order-timers-plan-'))
  const file = join(directory, 'plan.json')
  await writeFile(file, JSON.stringify(plan))
  const args = ['--import', 'tsx', 'chaos/chaos.ts', '--plan', file, '--json', '--no-shrink']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, told] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  await rm(directory, { recursive: true })
  assert.notEqual(out, '', `it came to no verdict:\n${told.slice(-4000)}`)
  return JSON.parse(out) as RunResult
}

describe('A chaos run of a few seconds', function () {
  this.timeout(300_000) // on a starved machine; else it takes half a minute

  for (const [title, servers, kinds] of [
    [
      'on a cluster, whose primaries are killed and whose slots move',
      { redis: 'cluster' },
      ['slots-moved', 'primary-killed', 'failed-over-by-command'],
    ],
    [
      'behind Sentinels, with a Postgres whose standby takes over',
      { redis: 'sentinel', postgres: 'standby' },
      ['postgres-failed-over', 'primary-killed'],
    ],
  ] as const) {
    it(`${title}, breaks no promise, and each of its faults bites`, async () => {
      const { anomalies, faults, settled, recoveredMs, slowdown } = await run(planOf(servers, kinds))
      const broken = anomalies.map(({ invariant, order, message }) => `${invariant}: ${order} ${message}`)
      assert.deepEqual(broken, [], `recovered in ${recoveredMs} ms at a slowdown of ${slowdown}`)
      assert.deepEqual(Object.keys(faults).sort(), [...kinds].sort())
      assert.ok(
        Object.values(faults).every((bites) => bites > 0),
        JSON.stringify(faults),
      )
      assert.ok(settled > 50, `${settled} settled`)
    })
  }
})
