import assert from 'node:assert/strict'
import { enter } from '../support/opened.js'
import { waitUntil } from '../support/waiting.js'
import { HOUR_MS, KIND, OpenedIndex, WAIT_MS } from './opened-index.js'

describe('the due index', () => {
  let opened: OpenedIndex
  let redis: OpenedIndex['redis']
  let keys: OpenedIndex['keys']
  let clock: OpenedIndex['clock']
  let index: OpenedIndex['index']
  let leases: OpenedIndex['leases']

  beforeEach(async () => {
    opened = await OpenedIndex.open()
    ;({ redis, keys, clock, index, leases } = opened)
  })

  afterEach(() => opened.close())

  const arm = (id: string, deadlineMs: number) => opened.arm(id, deadlineMs)
  const claim = (token: string, options = {}) => opened.claim(token, options)
  const armMissing = (ids: string[], deadlineMs: number) => opened.armMissing(ids, deadlineMs)
  const scoreOf = (id: string) => opened.scoreOf(id)
  const everythingButTombstones = () => opened.everythingButTombstones()

  it('arms for the sweep what is missing or has a later deadline, and leaves the rest', async () => {
    const now = await clock.now()
    await arm('late', now + HOUR_MS)
    await arm('early', now + 1_000)
    const ids = ['late', 'early', 'missing']
    const deadlines = [now + 60_000, now + 70_000, now + 80_000]
    assert.equal(await index.armMissing(KIND, ids, deadlines), 2)
    assert.deepEqual(await Promise.all(ids.map(scoreOf)), [now + 60_000, now + 1_000, now + 80_000].map(String))
    assert.equal(await redis.client.pexpiretime(keys.timer(KIND, 'missing')), now + 80_000)
    assert.equal(await index.armMissing(KIND, ids, deadlines), 0)
  })

  it('removes a timer that has the given deadline, and not one that was armed again', async () => {
    const now = await clock.now()
    await arm('1', now + HOUR_MS)
    assert.equal(await index.disarm(KIND, '1', now + 1, WAIT_MS), false)
    assert.notEqual(await scoreOf('1'), null)
    assert.equal(await index.disarm(KIND, '1', now + HOUR_MS, WAIT_MS), true)
    assert.deepEqual(await everythingButTombstones(), [])
    assert.equal(await index.disarm(KIND, '1', undefined, WAIT_MS), false)
  })

  it('moves a deadline that is only in Redis, and not one that has changed meanwhile', async () => {
    const now = Math.floor(await clock.now())
    const move = (expected: number | undefined, id: string, by: number | 'now', tolerance?: number) =>
      index.postponeFrom(expected, KIND, id, by, WAIT_MS, tolerance)
    await arm('1', now + HOUR_MS)
    assert.deepEqual(await move(now, '1', 1_000), { before: now + HOUR_MS, after: undefined })
    assert.equal(await scoreOf('1'), String(now + HOUR_MS))
    assert.deepEqual(await move(now + HOUR_MS, '1', 1_000), { before: now + HOUR_MS, after: now + HOUR_MS + 1_000 })
    assert.equal(await move(undefined, '2', 1_000), undefined)
    const { after = 0 } = (await move(undefined, '1', 'now')) ?? {}
    assert.ok(after >= now && after < now + 60_000)
    assert.deepEqual(await move(undefined, '1', 'now'), { before: after, after }, 'what is due is not made due later')

    await redis.client.set(keys.timer(KIND, 'theirs'), '1', 'PXAT', now + HOUR_MS)
    assert.equal((await move(now + HOUR_MS - 60_000, 'theirs', 1_000, 5))?.after, undefined)
    assert.ok(((await move(now + HOUR_MS, 'theirs', 1_000, 5))?.after ?? 0) > now + HOUR_MS)
  })

  it('removes a key of another program whose TTL is the one that was shown, and no other, where it is asked to look', async () => {
    const now = Math.floor(await clock.now())
    await redis.client.set(keys.timer(KIND, 'theirs'), '1', 'PXAT', now + HOUR_MS)
    assert.equal(await index.disarm(KIND, 'theirs', now + HOUR_MS - 60_000, WAIT_MS, 5), false)
    assert.equal(await redis.client.exists(keys.timer(KIND, 'theirs')), 1)
    assert.equal(await index.disarm(KIND, 'theirs', now + HOUR_MS, WAIT_MS, 5), true)
    assert.equal(await index.disarm(KIND, 'theirs', now + HOUR_MS, WAIT_MS, 5), false)
  })

  it('wakes the alarms of an index for a new head only', async () => {
    const heard: string[] = []
    const listener = redis.client.duplicate()
    const strikeOut = enter('a listener', async () => listener.disconnect())
    await listener.subscribe(keys.wakeChannel)
    listener.on('message', (_channel, message) => heard.push(message))
    const now = await clock.now()
    await arm('1', now + HOUR_MS)
    await arm('2', now + 2 * HOUR_MS)
    await arm('3', now + 1_000)
    await armMissing(['4'], now + 1_001)
    await armMissing(['5'], now + 500)
    await index.postpone(KIND, '1', HOUR_MS, WAIT_MS)
    await index.postponeFrom(undefined, KIND, '2', 'now', WAIT_MS)
    await redis.client.publish(keys.wakeChannel, 'end')
    await waitUntil(() => heard.includes('end'))
    const { due } = keys.sets(KIND)
    assert.deepEqual(heard, [due, due, due, due, 'end'])
    listener.disconnect()
    strikeOut()
  })

  it('compares deadlines as numbers, and keeps every digit of ids beyond 2^53', async () => {
    const far = Date.UTC(9999, 11, 31)
    await arm('9007199254740993', far)
    await arm('9007199254740992', far + 1)
    assert.equal(await index.disarm(KIND, '9007199254740993', far, WAIT_MS), true)
    assert.equal(await armMissing(['9007199254740992'], far + 2), 0)
    assert.deepEqual((await claim('a', { skewMs: far })).ids, ['9007199254740992'])
  })

  it('takes thousands in one call', async () => {
    const now = await clock.now()
    const many = Array.from({ length: 1_000 }, (_, i) => ({ id: String(i + 1), deadlineMs: now - 1 }))
    await index.arm(KIND, many, WAIT_MS)
    for (let i = 0; i < 9; i++)
      await armMissing(
        many.map(({ id }) => `${id}${i}x`),
        now - 1,
      )
    const { ids, token } = await claim('a', { limit: 10_000 })
    assert.equal(ids.length, 10_000)
    await leases.finish(
      KIND,
      token,
      0,
      ids.map((id) => ({ id, delayMs: HOUR_MS })),
    )
    assert.equal(await redis.client.zcard(keys.sets(KIND).due), 10_000)
  })
})
