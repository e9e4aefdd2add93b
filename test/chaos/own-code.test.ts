import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Journal } from '../../chaos/journal.js'
import { FailsOnPurpose, JournaledCode } from '../../chaos/own-code.js'

describe('the own code of a chaos worker', () => {
  let directory: string

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'order-timers-own-code-'))
  })

  after(() => rmSync(directory, { recursive: true }))

  it('fails an order once in each process and three times in a run', () => {
    const ids = Array.from({ length: 200 }, (_, i) => String(i))
    const failures = Array.from({ length: 5 }, (_, i) => failingOrders(new JournaledCode(new Journal(directory, `worker ${i}`)), ids))
    const failing = failures[0]!
    assert.ok(failing.length > 0 && failing.length < 20, `${failing.length} orders failed`)
    assert.deepEqual(failures, [failing, failing, failing, [], []])
  })
})

/** Which of these orders' handlers fail at the first try; none fails at the second. */
function failingOrders(code: JournaledCode, ids: readonly string[]): string[] {
  const failing = ids.filter((id) => fails(code, id))
  assert.deepEqual(
    ids.filter((id) => fails(code, id)),
    [],
  )
  return failing
}

function fails(code: JournaledCode, id: string): boolean {
  try {
    code.handle('note', [id])
    return false
  } catch (error) {
    assert.ok(error instanceof FailsOnPurpose)
    return true
  }
}
