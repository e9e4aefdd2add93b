import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Slowdown, worstOf } from '../../chaos/slowdown.js'
import { waitUntil } from '../support/waiting.js'

describe('The slowdown of the machine', () => {
  it('is that of the worst two seconds, and never less than 1', () => {
    assert.equal(worstOf([]), 1)
    assert.equal(worstOf([0.9]), 1)
    assert.equal(worstOf([3]), 3)
    assert.equal(worstOf([1, 1, 1, 9, 1, 1, 1]), 3)
    assert.equal(worstOf([1, 2, 2, 4, 4, 1, 1]), 3)
  })

  it('is measured by what the machine does', async () => {
    const busy = Array.from({ length: 2 * availableParallelism() }, () =>
      spawn(process.execPath, [
        '-e',
        `setTimeout(() => process.exit(), 30_000)
      setInterval(() => { for (const end = Date.now() + 50; Date.now() < end; ); })`,
      ]),
    )
    const slowdown = new Slowdown()
    try {
      await waitUntil(() => slowdown.worst > 1, { within: 20_000 })
      assert.ok(slowdown.worst < 1000, String(slowdown.worst))
    } finally {
      slowdown.stop()
      for (const one of busy) one.kill('SIGKILL')
      await Promise.all(busy.map((one) => one.exitCode === null && one.signalCode === null && once(one, 'exit')))
    }
  })
})
