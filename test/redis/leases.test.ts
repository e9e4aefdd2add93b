import assert from 'node:assert/strict'
import fc from 'fast-check'
import { RedisClock } from '../../lib/redis/clock.js'
import { BURST, Leases } from '../../lib/redis/leases.js'
import { enter } from '../support/opened.js'
import { waitUntil } from '../support/waiting.js'
import { FAILURE, HOUR_MS, KIND, OpenedIndex, PAST_MS, WAIT_MS } from './opened-index.js'

describe('a claim', () => {
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
  const scoreOf = (id: string) => opened.scoreOf(id)
  const settledJustNow = () => opened.settledJustNow()
  const everythingButTombstones = () => opened.everythingButTombstones()

  describe('of a burst', () => {
    const armMany = async (count: number, deadlineMs: number) => {
      const timers = Array.from({ length: count }, (_, i) => ({ id: `${i + 1}`, deadlineMs }))
      for (let first = 0; first < count; first += 1000) await index.arm(KIND, timers.slice(first, first + 1000), WAIT_MS)
      return timers.map(({ id }) => keys.timer(KIND, id))
    }
    const count = () => redis.client.zcard(keys.sets(KIND).due)

    it('removes their keys early, so that Redis does not publish each expiry to every worker; they stay in the index', async () => {
      const names = await armMany(30, (await clock.now()) + BURST.withinMs - 50)
      const { ids, burstLeft } = await claim('a', { limit: 10 })
      assert.deepEqual([ids, burstLeft, await redis.client.exists(...names), await count()], [[], false, 0, 30])
    })

    it('leaves the keys of as many as a claim takes, and of those that are due later', async () => {
      const few = await armMany(10, (await clock.now()) + BURST.withinMs - 50)
      await claim('a', { limit: 10 })
      assert.equal(await redis.client.exists(...few), 10)
      const later = await armMany(30, (await clock.now()) + BURST.withinMs + 5_000)
      await claim('b', { limit: 10 })
      assert.equal(await redis.client.exists(...later), 30)
    })

    it('removes some thousands at a time, and says whether keys are left', async () => {
      const most = BURST.keysRemoved
      const names = await armMany(most + 500, (await clock.now()) + 60_000)
      const look = () => claim('a', { limit: 10, skewMs: 60_000 - BURST.withinMs }) // the burst is due in a moment by this clock
      assert.equal((await look()).burstLeft, true)
      assert.equal(await redis.client.exists(...names), 500)
      assert.equal((await look()).burstLeft, false)
      assert.equal(await redis.client.exists(...names), 0)
      assert.equal(await count(), most + 500)
    })

    it('removes the keys of what it takes as well as of what waits, whichever worker claims', async () => {
      const names = await armMany(30, (await clock.now()) + 60_000)
      const due = (token: string) => claim(token, { limit: 10, skewMs: 60_500 })
      const claimed = [await due('a'), await due('b'), await due('c')]
      assert.deepEqual(claimed.flatMap(({ ids }) => ids).length, 30)
      assert.equal(await redis.client.exists(...names), 0)
    })
  })

  it('removes the keys of what it takes without an event for every worker', async () => {
    const listener = redis.client.duplicate()
    const strikeOut = enter('a listener', async () => listener.disconnect())
    const probe = `${keys.timersOf(KIND)}probe`
    const heard: string[] = []
    listener.on('message', (_channel, key: string) => heard.push(key))
    await listener.subscribe(`__keyevent@${redis.client.options.db ?? 0}__:expired`)
    const ids = Array.from({ length: 300 }, (_, i) => `${i + 1}`)
    let told: string[] = []
    // Redis itself may come across keys in the millisecond before the claim; hardly so three times.
    for (const token of ['a', 'b', 'c']) {
      const deadlineMs = (await clock.now()) + 20
      await index.arm(
        KIND,
        ids.map((id) => ({ id, deadlineMs })),
        WAIT_MS,
      )
      await waitUntil(async () => (await claim(token)).ids.length === ids.length, { every: 1, what: 'the claim of all' })
      await redis.client.set(probe, '1', 'PX', 1)
      await waitUntil(async () => (await redis.client.exists(probe)) === 0 && heard.includes(probe), { what: "the other key's event" })
      told = heard.splice(0).filter((key) => key !== probe && key.startsWith(keys.timersOf(KIND)))
      if (told.length === 0) break
    }
    listener.disconnect()
    strikeOut()
    assert.deepEqual(told, [])
    assert.deepEqual(await redis.client.keys(`${keys.timersOf(KIND)}*`), [])
  })

  it('takes what is due, oldest first, with its deadline, and says when the next is due', async () => {
    const now = await clock.now()
    await arm('3', now + HOUR_MS)
    await arm('1', now - 10)
    await arm('2', now - 20)
    const first = await claim('a')
    assert.deepEqual(first.ids, ['2', '1'])
    assert.deepEqual(first.deadlines, [now - 20, now - 10])
    assert.equal(first.next, now + HOUR_MS)
    assert.ok(Math.abs(first.now - now) < 1000)
    const second = await claim('b')
    assert.deepEqual([second.ids, second.next], [[], now + HOUR_MS])
  })

  it('takes no more than its limit', async () => {
    const now = await clock.now()
    for (let id = 1; id <= 5; id++) await arm(String(id), now - id)
    assert.deepEqual((await claim('a', { limit: 2 })).ids, ['5', '4'])
    assert.deepEqual((await claim('b', { limit: 2 })).ids, ['3', '2'])
  })

  it('removes the keys of what it takes, so that no event follows', async () => {
    await arm('1', (await clock.now()) + 60)
    await waitUntil(async () => (await claim('a', { skewMs: 60 })).ids.length)
    assert.equal(await redis.client.exists(keys.timer(KIND, '1')), 0)
  })

  it("goes by Redis's clock and the given skew", async () => {
    await arm('1', (await clock.now()) + 60_000)
    assert.deepEqual((await claim('a')).ids, [])
    assert.deepEqual((await claim('b', { skewMs: 61_000 })).ids, ['1'])
  })

  it('leaves nothing but a tombstone when it ends', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    const { token } = await claim('a')
    assert.equal(await leases.finish(KIND, token, 0, []), true)
    assert.deepEqual(await everythingButTombstones(), [])
    assert.equal(await leases.finish(KIND, token, 0, []), false)
  })

  it('keeps a timer that was armed again while the claim was worked on', async () => {
    const now = await clock.now()
    await arm('1', now - PAST_MS)
    const { token } = await claim('a')
    await arm('1', now + HOUR_MS)
    await leases.finish(KIND, token, 0, [])
    assert.equal(await scoreOf('1'), String(now + HOUR_MS))
  })

  it('puts back what comes back, at the earlier of the two deadlines where it was armed again', async () => {
    const now = await clock.now()
    for (const id of ['1', '2', '3']) await arm(id, now - PAST_MS)
    const { token } = await claim('a')
    await arm('2', now + HOUR_MS)
    await leases.finish(
      KIND,
      token,
      0,
      ['1', '2'].map((id) => ({ id, delayMs: 5_000 })),
    )
    for (const id of ['1', '2']) assert.ok(Math.abs(Number(await scoreOf(id)) - (now + 5_000)) < 1000)
    assert.equal(await scoreOf('3'), null)
  })

  it('ends once, although its end is retried', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    await claim('a')
    const back = [{ id: '1', delayMs: 0 }]
    assert.equal(await leases.finish(KIND, 'a', 0, back, { isRetry: true }), true)
    assert.deepEqual((await claim('b', { skewMs: 1_000 })).ids, ['1'])
    assert.equal(await leases.finish(KIND, 'a', 0, back, { isRetry: true }), false)
    assert.equal(await scoreOf('1'), null)
  })

  for (const isRetry of [false, true]) {
    it(`puts back at its old deadline what it had not begun when its lease expired${isRetry ? ', also where its end is retried' : ''}`, async () => {
      const deadline = (await clock.now()) - PAST_MS
      for (const id of ['1', '2']) await arm(id, deadline)
      await claim('a', { leaseMs: 0 })
      await leases.takeOverdue(KIND, 'b', 0, ['3'])
      assert.equal(await leases.finish(KIND, 'a', 0, [{ id: '2', lapsed: true }], { isRetry }), true)
      assert.equal(await leases.finish(KIND, 'b', 0, [{ id: '3', lapsed: true }], { isRetry }), true)
      assert.deepEqual([await scoreOf('1'), await scoreOf('2')], [null, String(deadline)])
      assert.ok(Math.abs(Number(await scoreOf('3')) - (await clock.now())) < 1_000)
      assert.deepEqual(await settledJustNow(), ['1'])
    })
  }

  it('puts back nothing of an expired lease that another claim has taken', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    await claim('a', { leaseMs: 0 })
    assert.deepEqual((await claim('b')).ids, ['1'])
    assert.equal(await leases.finish(KIND, 'a', 0, [{ id: '1', lapsed: true }]), false)
    assert.equal(await scoreOf('1'), null)
    assert.deepEqual(await redis.client.smembers(`${keys.sets(KIND).lease}b`), ['1'])
  })

  it('puts back nothing that another claim has taken meanwhile, or settled a moment ago, and counts no failure of it', async () => {
    const deadline = (await clock.now()) - PAST_MS
    for (const id of ['1', '2', '3']) await arm(id, deadline)
    assert.equal((await claim('a', { leaseMs: 0 })).ids.length, 3)
    assert.deepEqual((await claim('b', { limit: 1 })).ids, ['1'])
    assert.deepEqual((await claim('c', { limit: 1 })).ids, ['2'])
    await leases.finish(KIND, 'c', 0, [])
    const back = (delayMs: number) => ['1', '2', '3'].map((id) => ({ id, delayMs, failure: FAILURE }))
    assert.equal(await leases.finish(KIND, 'a', 0, back(HOUR_MS)), false)
    assert.deepEqual([await scoreOf('1'), await scoreOf('2')], [null, null])
    assert.ok(Number(await scoreOf('3')) > deadline + HOUR_MS / 2) // nobody has it
    assert.deepEqual([...(await opened.failures.of(KIND, ['1', '2', '3'])).keys()], ['3'])
    await leases.finish(KIND, 'b', 0, [])
    assert.equal(await scoreOf('1'), null)
  })

  it('puts back what comes back although Redis has lost the lease', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    await claim('a')
    await redis.client.del(...(await redis.client.keys(`${redis.prefix}*`)))
    assert.equal(await leases.finish(KIND, 'a', 0, [{ id: '1', delayMs: 0 }]), false)
    assert.notEqual(await scoreOf('1'), null)
  })

  it("does not end where its end reaches Redis too late, and then learns that Redis's clock was set", async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    await claim('a')
    clock.note((await clock.now()) - HOUR_MS, performance.now())
    await assert.rejects(leases.finish(KIND, 'a', 0, []), { code: 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE' })
    assert.equal(await leases.finish(KIND, 'a', 0, []), true)
  })

  it('takes what an expired lease held, and the first claim can end nothing of it', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    await claim('a', { leaseMs: 1 })
    const taken = await waitUntil(async () => {
      const second = await claim('b')
      return second.ids.length > 0 ? second : undefined
    })
    assert.deepEqual(taken.ids, ['1'])
    assert.equal(await leases.keep(KIND, 'a', 10_000), false)
    assert.equal(await leases.finish(KIND, 'a', 0, []), false)
    assert.deepEqual(await redis.client.smembers(`${keys.sets(KIND).lease}b`), ['1'])
    await leases.release(KIND, 'b', 0)
    assert.equal(await scoreOf('1'), String(taken.deadlines[0]))
  })

  it('is extended', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    await claim('a', { leaseMs: 5_000 })
    assert.equal(await leases.keep(KIND, 'a', 10_000), true)
    const lapsed = Number(await redis.client.zscore(keys.sets(KIND).leases, 'a'))
    assert.ok(lapsed > (await clock.now()) + 9_000)
  })

  it('is not extended once its lease has expired, although nobody has claimed since: a sweep may have its orders', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    assert.deepEqual((await claim('a', { leaseMs: 0 })).ids, ['1'])
    assert.equal(await leases.keep(KIND, 'a', 10_000), false)
    assert.deepEqual((await claim('b')).ids, ['1'])
  })

  it('puts everything back when it is released, and a release without a claim does nothing', async () => {
    const now = await clock.now()
    await arm('1', now - PAST_MS)
    await claim('a')
    await leases.release(KIND, 'a', 0)
    await leases.release(KIND, 'a', 0)
    await leases.release(KIND, 'never', 0)
    assert.equal(await scoreOf('1'), String(now - PAST_MS))
  })

  it('says that the index has lost data, also where a timer was armed in it since', async () => {
    const later = (await clock.now()) + HOUR_MS
    await arm('1', later)
    assert.equal((await claim('a')).lost, false)
    await redis.client.unlink(keys.sets(KIND).due)
    await arm('2', later)
    assert.equal((await claim('b')).lost, true)
  })

  it('takes nothing where it reaches Redis too late', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    const late = new RedisClock({ onDown() {} } as never)
    late.note((await clock.now()) - 2_000, performance.now())
    const stale = new Leases(opened.connection, keys, late)
    assert.deepEqual((await stale.claim(KIND, 'a', { limit: 10, leaseMs: 10_000, skewMs: 0 })).ids, [])
    assert.notEqual(await scoreOf('1'), null)
  })

  it('takes for a sweep what no other claim holds, out of the index too', async () => {
    const now = await clock.now()
    for (const id of ['1', '2', '3']) await arm(id, now - 5)
    await claim('a', { limit: 1 })
    const overdue = ['1', '2', '3', '4']
    const taken = await leases.takeOverdue(KIND, 'b', 10_000, overdue)
    assert.deepEqual(taken.ids, ['2', '3', '4'])
    assert.equal(await redis.client.zcard(keys.sets(KIND).due), 0)
    assert.deepEqual((await leases.takeOverdue(KIND, 'c', 10_000, overdue)).ids, [])
  })

  it("takes at once what a sweep took and did not end, when that lease has expired, also where Redis's clock is ahead", async () => {
    await leases.takeOverdue(KIND, 'a', 1, ['1', '2'])
    const { ids } = await waitUntil(async () => {
      const taken = await claim('b', { skewMs: -60_000 })
      return taken.ids.length > 0 ? taken : undefined
    })
    assert.deepEqual(ids.sort(), ['1', '2'])
  })

  it('is taken and ended where Redis has no memory left', async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    await redis.client.config('SET', 'maxmemory', '1')
    try {
      assert.deepEqual((await leases.takeOverdue(KIND, 'a', 10_000, ['2', '3'])).ids, ['2', '3'])
      assert.deepEqual((await leases.takeExpired(KIND, 'b', 10_000, ['4'])).ids, ['4'])
      assert.deepEqual((await claim('c')).ids, ['1'])
      assert.equal(await leases.finish(KIND, 'a', 0, [{ id: '2', delayMs: HOUR_MS, failure: FAILURE }]), true)
      assert.equal(await leases.finish(KIND, 'b', 0, []), true)
      assert.equal(await leases.finish(KIND, 'c', 0, []), true)
    } finally {
      await redis.client.config('SET', 'maxmemory', '0')
    }
    assert.notEqual(await scoreOf('2'), null)
  })

  it('takes for an event only an external key: not one in the index, claimed, just settled, or alive again', async () => {
    const now = await clock.now()
    await arm('due', now - PAST_MS)
    const { token } = await claim('a')
    await leases.finish(KIND, token, 0, [])
    await arm('leased', now - PAST_MS)
    await claim('b')
    await arm('indexed', now + HOUR_MS)
    await redis.client.setex(keys.timer(KIND, 'alive'), 100, 1)
    const taken = await leases.takeExpired(KIND, 'c', 10_000, ['due', 'leased', 'indexed', 'alive', 'theirs'])
    assert.deepEqual(taken.ids, ['theirs'])
    assert.deepEqual((await leases.takeExpired(KIND, 'd', 10_000, ['theirs'])).ids, [])
  })

  it('lets go what was not settled, without a tombstone and with its failures forgotten, for the next sweep', async () => {
    for (const id of ['held', 'settled']) await arm(id, (await clock.now()) - PAST_MS)
    await redis.client.hset(keys.sets(KIND).failures, 'held', JSON.stringify(FAILURE))
    await claim('a')
    await leases.finish(KIND, 'a', 0, [{ id: 'held', delayMs: undefined }])
    assert.equal(await scoreOf('held'), null)
    assert.equal(await redis.client.hlen(keys.sets(KIND).failures), 0)
    await redis.client.hset(keys.sets(KIND).failures, 'held', JSON.stringify(FAILURE))
    assert.equal(await leases.finish(KIND, 'a', 0, [{ id: 'held', delayMs: undefined }]), false)
    assert.equal(await redis.client.hlen(keys.sets(KIND).failures), 1, 'a claim whose lease expired forgets nothing')
    await redis.client.del(keys.sets(KIND).failures)
    assert.deepEqual((await leases.takeOverdue(KIND, 'b', 10_000, ['held', 'settled'])).ids, ['held'])
  })

  it('leaves tombstones for some seconds, and those of external keys for less than the shortest SETEX', async () => {
    const finish = (token: string, tombstone: 'settled' | 'external') => leases.finish(KIND, token, 0, [], { tombstone })
    await arm('ours', (await clock.now()) - PAST_MS)
    await claim('a')
    await leases.takeExpired(KIND, 'b', 10_000, ['theirs'])
    await finish('a', 'settled')
    await finish('b', 'external')
    const leftAt = await clock.now()
    assert.deepEqual((await leases.takeExpired(KIND, 'c', 10_000, ['ours', 'theirs'])).ids, [])
    const taken = await waitUntil(async () => {
      const { ids } = await leases.takeExpired(KIND, 'd', 10_000, ['ours', 'theirs'])
      return ids.length > 0 ? { ids, at: await clock.now() } : undefined
    })
    assert.deepEqual(taken.ids, ['theirs'])
    assert.ok(taken.at - leftAt < 1_000, `after ${taken.at - leftAt} ms`)
    const takeOurs = async () => {
      const { ids } = await leases.takeExpired(KIND, 'e', 10_000, ['ours'])
      return ids.length > 0 ? await clock.now() : undefined
    }
    const alone = await waitUntil(takeOurs, { within: 12_000 })
    assert.ok(alone - leftAt >= 4_900 && alone - leftAt < 11_000, `after ${alone - leftAt} ms`)
  })

  it('takes for an event what it took since that was heard no second time, however late it is asked, and what is heard anew again', async () => {
    const heardAt = new Map([['1', performance.now()]])
    assert.deepEqual((await leases.takeExpired(KIND, 'a', 10_000, ['1', '2'], heardAt)).ids, ['1', '2'])
    await leases.finish(KIND, 'a', 0, [], { tombstone: 'external' })
    const takeOther = async () => (await leases.takeExpired(KIND, 'b', 10_000, ['2'])).ids.length > 0
    await waitUntil(takeOther, { what: 'the tombstones to be over' })
    assert.deepEqual((await leases.takeExpired(KIND, 'c', 10_000, ['1'], heardAt)).ids, [])
    const { tombstones } = keys.sets(KIND)
    assert.ok((await redis.client.pttl(`${tombstones}:followed`)) > 60_000)
    assert.deepEqual((await leases.takeExpired(KIND, 'd', 10_000, ['1'])).ids, ['1'])
    await leases.finish(KIND, 'd', 0, [], { tombstone: 'settled' })
    await redis.client.unlink(`${tombstones}:ours`) // its tombstones with it
    await redis.client.zadd(`${tombstones}:followed`, (await clock.now()) + HOUR_MS, '1', 0, 'long ago') // as if the clock had been set back since
    assert.deepEqual((await leases.takeExpired(KIND, 'e', 10_000, ['1'])).ids, ['1'])
    assert.equal(await redis.client.zscore(`${tombstones}:followed`, 'long ago'), null)
  })

  it('takes for a sweep, and not for an event, what was cancelled or found gone', async () => {
    for (const id of ['gone', 'cancelled', 'settled']) await arm(id, (await clock.now()) - PAST_MS)
    await index.disarm(KIND, 'cancelled', undefined, 1_000)
    await claim('a')
    await leases.finish(KIND, 'a', 0, [{ id: 'gone', gone: true }])
    const all = ['gone', 'cancelled', 'settled']
    assert.deepEqual((await leases.takeExpired(KIND, 'b', 10_000, all)).ids, [])
    assert.deepEqual((await leases.takeOverdue(KIND, 'c', 10_000, all)).ids, ['gone', 'cancelled'])
  })

  it('takes at a second look what was settled a moment ago, and tells at the first that there is some', async () => {
    for (const id of ['settled', 'failed']) await arm(id, (await clock.now()) - PAST_MS)
    await claim('a')
    await leases.finish(KIND, 'a', 0, [{ id: 'failed', delayMs: HOUR_MS, failure: FAILURE }])
    const all = ['settled', 'failed', 'overdue']
    const first = await leases.takeOverdue(KIND, 'b', 10_000, all)
    assert.deepEqual([first.ids, first.settledBefore], [['overdue'], 1])
    const second = await leases.takeOverdue(KIND, 'c', 10_000, all, 'second')
    assert.deepEqual([second.ids, second.settledBefore], [['settled'], 0])
  })

  it("ignores a tombstone that is in the future since Redis's clock was set back", async () => {
    await arm('1', (await clock.now()) - PAST_MS)
    await claim('a')
    await leases.finish(KIND, 'a', 0, [])
    const turn = `${keys.sets(KIND).tombstones}:ours`
    await redis.client.incrby(turn, 1_000) // as if the tombstone had been left by a clock that was ahead
    assert.deepEqual((await leases.takeExpired(KIND, 'b', 10_000, ['1'])).ids, ['1'])
  })

  it('loses nothing and is never held twice, in any order of operations', async () => {
    const operation = fc.oneof(
      fc.record({ do: fc.constant('arm' as const), id: fc.integer({ min: 1, max: 5 }), inMs: fc.constantFrom(-5, HOUR_MS) }),
      fc.record({ do: fc.constant('claim' as const), limit: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ do: fc.constant('finish' as const), back: fc.boolean() }),
      fc.record({ do: fc.constant('release' as const) }),
      fc.record({ do: fc.constant('sweep' as const) }),
    )
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
        const kind = `run_${run++}`
        const pending = new Set<string>()
        const claims = new Map<string, string[]>()
        const now = await clock.now()
        for (const [step, one] of operations.entries()) {
          const token = `${step}`
          const held = new Set([...claims.values()].flat())
          const [oldest] = claims
          if (one.do === 'arm') {
            await index.arm(kind, [{ id: String(one.id), deadlineMs: now + one.inMs }], WAIT_MS)
            pending.add(String(one.id))
          } else if (one.do === 'claim') {
            claims.set(token, (await leases.claim(kind, token, { limit: one.limit, leaseMs: 60_000, skewMs: 0 })).ids)
          } else if (one.do === 'sweep') {
            const { ids } = await leases.takeOverdue(kind, token, 60_000, [...pending])
            for (const id of ids) assert.ok(!held.has(id), `${id} was claimed`)
            claims.set(token, ids)
          } else if (oldest && one.do === 'release') {
            await leases.release(kind, oldest[0], 0)
            claims.delete(oldest[0])
          } else if (oldest && one.do === 'finish') {
            await leases.finish(kind, oldest[0], 0, one.back ? oldest[1].map((id) => ({ id, delayMs: 1 })) : [])
            claims.delete(oldest[0])
            const { due } = keys.sets(kind)
            for (const id of oldest[1]) {
              const elsewhere = [...claims.values()].flat().includes(id) || (await redis.client.zscore(due, id)) !== null
              if (!elsewhere) {
                assert.ok(!one.back, `${id} was to come back`)
                pending.delete(id)
              }
            }
          }
        }
        const inIndex = await redis.client.zrange(keys.sets(kind).due, 0, '-1')
        assert.deepEqual(new Set([...inIndex, ...[...claims.values()].flat()]), pending)
      }),
      { numRuns: 100 },
    )
  })
})
