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

  it('is shown although what stands there cannot be read, and does not hide others', async () => {
    const { client } = opened.redis
    const { failures: key } = opened.keys.sets(KIND)
    await client.hset(key, '1', JSON.stringify(FAILURE))
    const odd = ['', 'text', 'null', '{"dead":true}', '{"attempts":"x","error":"e","at":"x","dead":true}']
    odd.push(JSON.stringify({ ...FAILURE, dead: true, first: { error: 1 } }), JSON.stringify({ ...FAILURE, at: 'never', dead: true }))
    for (const [i, text] of odd.entries()) {
      await client.hset(key, `odd ${i}`, text)
      await client.zadd(`${key}:dead`, i + 1, `odd ${i}`)
    }
    const dead = ['odd 3', 'odd 4', 'odd 5', 'odd 6']
    assert.deepEqual((await failures.of(KIND, ['1', ...dead])).get('1'), FAILURE)
    assert.deepEqual([...(await failures.dead(KIND, WAIT_MS)).keys()].sort(), dead)
    const { letters } = await failures.deadPage(KIND, undefined, 10, WAIT_MS)
    assert.deepEqual(
      letters.map(({ attempts, error }) => [attempts, error]).slice(0, 2),
      Array(2).fill([0, 'what Redis has of it cannot be read']),
    )
    assert.deepEqual([...(await failures.revive(KIND, dead, WAIT_MS))].sort(), dead)
    assert.deepEqual([...(await failures.dead(KIND, WAIT_MS)).keys()], [])
  })

  /** Has these die in this order, in claims of at most `perClaim`. */
  const bury = async (ids: string[], perClaim = ids.length, stack?: string) => {
    for (let first = 0; first < ids.length; first += perClaim) {
      const portion = ids.slice(first, first + perClaim)
      for (const id of portion) await arm(id, (await clock.now()) - PAST_MS)
      const { token } = await claim(`bury ${first}`)
      const dead = portion.map((id) => ({ id, failure: { ...FAILURE, dead: true }, ...(stack && { stack: `${stack} ${id}` }) }))
      await leases.finish(KIND, token, 0, dead)
    }
  }
  const page = (before?: string, limit = 4) => failures.deadPage(KIND, before, limit, WAIT_MS)

  it('is listed page by page once it is dead, the newest first, also those that died together', async () => {
    const ids = Array.from({ length: 11 }, (_, i) => String(i + 1))
    await bury(ids, 6, '    at run (rules.js:1:1)\n    at')
    const shown: string[] = []
    let before: string | undefined
    do {
      const { letters, total, next } = await page(before)
      assert.equal(total, 11)
      for (const { id, stack, error, dead } of letters)
        assert.deepEqual([stack, error, dead], [`    at run (rules.js:1:1)\n    at ${id}`, 'no stock', true])
      shown.push(...letters.map(({ id }) => id))
      before = next
    } while (before !== undefined)
    assert.deepEqual(shown, ids.reverse())
  })

  it('goes on with the page where it ended, although letters were put back and others died meanwhile', async () => {
    await bury(['1', '2', '3', '4', '5', '6'], 1)
    const { letters, next } = await page(undefined, 2)
    assert.deepEqual(
      letters.map(({ id }) => id),
      ['6', '5'],
    )
    await failures.revive(KIND, ['5', '4'], WAIT_MS)
    await claim('away')
    await bury(['7'])
    assert.deepEqual(
      (await page(next, 9)).letters.map(({ id }) => id),
      ['3', '2', '1'],
    )
    assert.equal((await page()).total, 5)
  })

  const ways = {
    'is put back': () => failures.revive(KIND, ['1'], WAIT_MS),
    'is dropped': () => failures.discard(KIND, ['1'], WAIT_MS),
    'is armed again': async () => arm('1', (await clock.now()) + HOUR_MS),
    'is disarmed': () => opened.index.disarm(KIND, '1', undefined, WAIT_MS),
  }
  for (const [way, end] of Object.entries(ways)) {
    it(`leaves no trace once it ${way}`, async () => {
      await bury(['1'], 1, '    at run')
      assert.deepEqual(
        (await page()).letters.map(({ stack }) => stack),
        ['    at run 1'],
      )
      await end()
      assert.deepEqual(await page(), { letters: [], total: 0, next: undefined })
      const { failures: name } = opened.keys.sets(KIND)
      assert.deepEqual(await opened.redis.client.keys(`${name}*`), [])
    })
  }

  it('is dropped without being due again', async () => {
    await bury(['1'])
    assert.deepEqual([...(await failures.discard(KIND, ['1', '2'], WAIT_MS))], ['1'])
    assert.equal(await opened.scoreOf('1'), null)
  })

  it('keeps the stacks of the newest 10,000 dead letters alone', async () => {
    const { failures: name } = opened.keys.sets(KIND)
    const { client } = opened.redis
    await bury(['1', '2'], 1, '    at run')
    const old = Array.from({ length: 9_998 }, (_, i) => [(Date.now() + 1) * 1_000 + i, `x${i}`]).flat()
    await client.zadd(`${name}:dead`, ...(old as [number, string]))
    await bury(['3'], 1, '    at run')
    assert.deepEqual(await client.hkeys(`${name}:stacks`), ['2', '3'])
    await bury(['4'], 1, '    at run')
    assert.deepEqual(await client.hkeys(`${name}:stacks`), ['3', '4'])
  })
})
