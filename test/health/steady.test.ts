import assert from 'node:assert/strict'
import type { State } from '../../lib/health/checks.js'
import { Steady } from '../../lib/health/steady.js'

const short: Record<string, State> = { o: 'ok', d: 'degraded', f: 'failing' }

/** The states after each of these readings. */
function states(readings: string, atOnce = false): string {
  const steady = new Steady()
  return [...readings].map((reading) => steady.note(short[reading] as State, atOnce)[0]).join('')
}

describe('a check’s state', () => {
  it('becomes worse by two readings in a row, and better by three', () => {
    assert.equal(states('odod'), 'oooo')
    assert.equal(states('oddooo'), 'oodddo')
    assert.equal(states('ddoodooo'), 'oddddddo')
  })

  it('becomes as bad as both readings were, and as good as the worst of three', () => {
    assert.equal(states('dff'), 'odf')
    assert.equal(states('ffdod'), 'offfd')
    assert.equal(states('ffooo'), 'offfo')
  })

  it('becomes worse by one reading if that is to be reported at once', () => {
    assert.equal(states('odooo', true), 'odddo')
  })
})
