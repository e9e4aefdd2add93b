import assert from 'node:assert/strict'
import { FAILURE, HOUR_MS, KIND, OpenedIndex, PAST_MS, WAIT_MS } from './opened-index.js'

describe('a timer that failed', () => {
  let opened: OpenedIndex
  let clock: OpenedIndex['clock']
  let leases: OpenedIndex['leases']
  let failures: OpenedIndex['failures']

  beforeEach(async () => {
    opened = await OpenedIndex.open()
    ;({ clock, leases, failures } = opened)
  })

  afterEach(() => opened.close())

  const arm = (id: string, deadlineMs: number) => opened.arm(id, deadlineMs)
  const claim = (token: string, options = {}) => opened.claim(token, options)
  const armMissing = (ids: string[], deadlineMs: number) => opened.armMissing(ids, deadlineMs)

  it('waits for its next attempt, and a dead letter is left alone until it is armed again', async () => {
    const now = await clock.now()
    for (const id of ['1', '2']) await arm(id, now - PAST_MS)
    const { token } = await claim('a')
    await leases.finish(KIND, token, 0, [
      { id: '1', delayMs: HOUR_MS, failure: FAILURE },
      { id: '2', delayMs: undefined, failure: { ...FAILURE, dead: true } },
    ])
    const overdue = ['1', '2']
    assert.deepEqual((await leases.takeOverdue(KIND, 'b', 10_000, overdue)).ids, [])
    assert.deepEqual((await leases.takeExpired(KIND, 'c', 10_000, ['1', '2'])).ids, [])
    assert.equal(await armMissing(overdue, now - PAST_MS), 0)
    assert.deepEqual(
      await failures.of(KIND, ['1', '2', '3']),
      new Map([
        ['1', FAILURE],
        ['2', { ...FAILURE, dead: true }],
      ]),
    )
    assert.deepEqual([...(await failures.dead(KIND, WAIT_MS)).keys()], ['2'])
    await arm('2', now - PAST_MS)
    assert.deepEqual((await claim('d')).ids, ['2'])
    assert.deepEqual([...(await failures.of(KIND, ['2'])).keys()], [])
  })

  it('has its attempts forgotten when it is put back as a dead letter, and is due at once', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    const { token } = await claim('a')
    await leases.finish(KIND, token, 0, [{ id: '1', failure: { ...FAILURE, attempts: 25, dead: true } }])
    assert.deepEqual([...(await failures.revive(KIND, ['1', '2'], WAIT_MS))], ['1'])
    assert.deepEqual([...(await failures.of(KIND, ['1'])).keys()], [])
    assert.deepEqual((await claim('b', { skewMs: 1_000 })).ids, ['1'])
    assert.deepEqual([...(await failures.revive(KIND, ['1'], WAIT_MS))], [])
  })
})
