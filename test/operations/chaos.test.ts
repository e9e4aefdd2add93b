// A short chaos run with a fixed plan of faults, as CI can afford it: its verdict must be that all held, and its faults must have bitten. How long
// recovery may take follows from how starved the machine was, as the run measures it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { RunResult } from '../../chaos/run.js'

const RUN = ['--seconds', '20', '--workers', '2', '--orders-per-second', '100', '--seed', '20', '--json', '--no-shrink']
const KINDS = 15

describe('A chaos run of twenty seconds', function () {
  this.timeout(600_000) // on a starved machine; else it takes less than a minute

  it('breaks no promise, and each of its faults has an effect', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'chaos/chaos.ts', ...RUN], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [out, told, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    assert.notEqual(out, '', `it came to no verdict:\n${told.slice(-4000)}`)
    const { anomalies, faults, features, settled, wishes, slowdown, recoveredMs } = JSON.parse(out) as RunResult
    const broken = anomalies.map(({ invariant, order, message }) => `${invariant}: ${order} ${message}`)
    assert.deepEqual(broken, [], `recovered in ${recoveredMs} ms at a slowdown of ${slowdown}; npm run chaos -- ${RUN.join(' ')}`)
    assert.equal(status, 0)
    const kinds = Object.entries(faults)
    assert.ok(
      kinds.every(([, bites]) => bites > 0),
      JSON.stringify(faults),
    )
    assert.ok(kinds.length >= KINDS, `${kinds.length} kinds of fault`)
    const untried = Object.entries(features).filter(([, orders]) => orders === 0)
    assert.deepEqual(untried, [])
    assert.ok(settled > 500 && wishes > 1000, `${settled} settled, ${wishes} wishes`)
  })
})
