import assert from 'node:assert/strict'
import { followed } from '../../lib/cli/followed.js'

describe('a run that a command follows', () => {
  it('takes a Ctrl-C that reaches it twice as one: the terminal sends it, and the program passes it on', async () => {
    const before = process.listenerCount('SIGHUP')
    const stopped: string[] = []
    const run = followed({ remark: () => {} }, async ({ signal }) => {
      await new Promise<void>((resolve) => {
        signal?.addEventListener('abort', () => {
          stopped.push(String(signal.reason))
          resolve()
        })
      })
      throw signal?.reason
    })
    process.emit('SIGHUP', 'SIGHUP')
    await assert.rejects(run, /^Error: stopped by SIGHUP after 0 of 0 orders/)
    assert.equal(process.listenerCount('SIGHUP'), before + 1, 'without a listener the second one would end the process')
    process.emit('SIGHUP', 'SIGHUP')
    assert.equal(stopped.length, 1)
  })
})
