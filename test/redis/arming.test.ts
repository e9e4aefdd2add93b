import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { RuntimeRedis } from '../../lib/timers/runtime.js'
import { type ActingShop, openActingShop } from '../admin/actions/acting.js'
import { portOf, withPort } from '../faults/own-worker.js'
import { scriptRequest } from '../faults/script-request.js'
import { armed, NOT_ARMED } from '../support/armed.js'
import { RedisServer } from '../support/redis-server.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, openShop, type Shop } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { holdsFor, inTime, waitUntil } from '../support/waiting.js'

describe('arming', () => {
  it('is for the deadline itself, however long the request is on its way', async () => {
    const url = process.env.REDIS_URL as string
    const proxy = await TcpProxy.start(portOf(url))
    const shop = await openShop(oneOfEach, { redisUrl: withPort(url, proxy.port) })
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id)
    const request = proxy.hold(scriptRequest('orderTimersArm'))
    const scheduled = shop.timers.schedule('order_confirm', id)
    await inTime(request.seen, 5000, 'the arming to be on its way')
    await holdsFor(100, () => true)
    request.release()
    const at = (await scheduled).deadline?.getTime()
    assert.deepEqual(await armed(shop.redis, 'order_confirm', id), { due: at, key: at })
    await shop.close()
    await proxy.stop()
  })

  it('that Redis carried out after the request gave up is not repeated when Redis comes back', async () => {
    const url = process.env.REDIS_URL as string
    const proxy = await TcpProxy.start(portOf(url))
    const shop = await openShop(oneOfEach, { redisUrl: withPort(url, proxy.port) })
    const runtime = runtimeOf(shop.timers)
    const { arming, connection, index } = runtime.redis as RuntimeRedis
    await shop.timers.check()
    const [first, second] = [Date.now() + 3_600_000, Date.now() + 7_200_000]
    const request = proxy.hold(scriptRequest('orderTimersArm'))
    assert.equal(await arming.arm(runtime.rule('order_confirm'), '34', first, 20), false)
    request.release()
    await waitUntil(async () => (await armed(shop.redis, 'order_confirm', 34)).due === first)
    await index.arm('order_confirm', [{ id: '34', deadlineMs: second }], 1_000)
    const isUp = new Promise<void>((resolve) => connection.onUp(resolve))
    proxy.reset()
    await isUp
    await connection.ask((client) => client.ping()) // after whatever is armed again
    assert.equal((await armed(shop.redis, 'order_confirm', 34)).due, second)
    await shop.close()
    await proxy.stop()
  })

  describe('a cancel within a transaction of what only Redis has, if Redis goes before the COMMIT,', () => {
    const KINDS = ['order_ship', 'order_other'] as const
    const url = process.env.REDIS_URL as string
    let proxy: TcpProxy
    let shop: Shop<OneOfEach>
    let handled: string[]
    let id: number

    beforeEach(async () => {
      handled = []
      proxy = await TcpProxy.start(portOf(url))
      const order_other: OneOfEach['order_other'] = async ({ ids }) => void handled.push(...ids)
      shop = await openShop((database) => ({ ...oneOfEach(database), order_other }), { redisUrl: withPort(url, proxy.port) })
      id = await shop.order({ status: 2 })
    })
    afterEach(async () => {
      await shop.close()
      await proxy.stop()
    })

    const waiting = () => (runtimeOf(shop.timers).redis as RuntimeRedis).arming.waiting
    const due = async () => Promise.all(KINDS.map(async (kind) => (await armed(shop.redis, kind, id)).due))
    const schedule = (after: '1h' | '5s') => Promise.all(KINDS.map((kind) => shop.timers.schedule(kind, id, { after })))
    const cancel = () =>
      shop.database.sequelize.transaction(async (transaction) => {
        for (const kind of KINDS) await shop.timers.cancel(kind, id, { transaction })
        proxy.refuse()
      })

    it('is kept and repeated, and nothing is carried out', async () => {
      await shop.worker({ fallback: false })
      const [{ deadline }] = (await schedule('5s')) as [{ deadline: Date }, unknown]
      await cancel()
      assert.equal(waiting(), 2)
      proxy.pass()
      for (const kind of KINDS) await waitUntil(async () => isDeepStrictEqual(await armed(shop.redis, kind, id), NOT_ARMED))
      await waitUntil(() => waiting() === 0)
      await holdsFor(deadline.getTime() + 1_000 - Date.now(), () => handled.length === 0, { every: 100 })
      assert.equal((await shop.database.client.query('SELECT status FROM orders WHERE id = $1', [id])).rows[0].status, 2)
    })

    it('is replaced by a later arming of this process', async () => {
      await schedule('1h')
      await cancel()
      const at = new Date(Date.now() + 7_200_000)
      await shop.database.sequelize.transaction(async (transaction) => {
        for (const kind of KINDS) await shop.timers.schedule(kind, id, { at, transaction })
      })
      assert.equal(waiting(), 2)
      proxy.pass()
      await waitUntil(() => waiting() === 0)
      await waitUntil(async () => (await due()).every((ms) => ms === at.getTime()))
    })

    it('replaces an arming that is kept', async () => {
      await schedule('1h')
      const runtime = runtimeOf(shop.timers)
      const { arming } = runtime.redis as RuntimeRedis
      const before = await due()
      proxy.refuse()
      for (const [i, kind] of KINDS.entries()) {
        assert.equal(await arming.arm(runtime.rule(kind), String(id), Date.now() + 7_200_000), false)
        await arming.disarmAlone(kind, String(id), before[i] as number)
      }
      assert.equal(waiting(), 2)
      proxy.pass()
      await waitUntil(() => waiting() === 0)
      await waitUntil(async () => (await due()).every((at) => at === null))
    })

    it('leaves what another process has armed since', async () => {
      await schedule('1h')
      await cancel()
      const at = Date.now() + 7_200_000
      const other = makeTimers(oneOfEach(shop.database), { redis: url, prefix: shop.redis.prefix })
      for (const kind of KINDS) await other.schedule(kind, id, { at: new Date(at) })
      await other.close()
      proxy.pass()
      await waitUntil(() => waiting() === 0)
      assert.deepEqual(await due(), [at, at])
    })
  })

  describe('while Redis’s memory is full,', () => {
    const kind = 'order_other'
    let server: RedisServer
    let shop: ActingShop<OneOfEach>
    let id: number

    beforeEach(async () => {
      server = await RedisServer.start()
      shop = await openActingShop(oneOfEach, { redisUrl: server.url })
      id = await shop.order({ status: 2 })
    })
    afterEach(async () => {
      await shop.close()
      await server.stop()
    })

    const limitMemory = (bytes: 0 | 1) => shop.redis.client.config('SET', 'maxmemory', bytes)
    const redisOf = () => shop.runtime.redis as RuntimeRedis
    const due = async () => (await armed(shop.redis, kind, id)).due
    /** Schedules it in Redis, and then again once Redis takes no timer: that one is kept. */
    const scheduleTwice = async () => {
      await shop.timers.schedule(kind, id, { after: '1h' })
      await limitMemory(1)
      await shop.database.sequelize.transaction((transaction) => shop.timers.schedule(kind, id, { after: '2h', transaction }))
      assert.equal(redisOf().arming.waiting, 1)
    }
    /** Redis takes timers again, and whatever was kept has been armed. */
    const makeRoom = async () => {
      await limitMemory(0)
      await waitUntil(() => redisOf().connection.refusals.present === undefined && redisOf().arming.waiting === 0)
    }

    it('a timer that only Redis has is cancelled all the same, each time', async () => {
      const ids = [id, await shop.order({ status: 2 })]
      for (const one of ids) await shop.timers.schedule(kind, one, { after: '1h' })
      await limitMemory(1)
      for (const one of ids) {
        await shop.timers.cancel(kind, one)
        assert.deepEqual(await armed(shop.redis, kind, one), NOT_ARMED)
      }
    })

    it('what was kept of a timer is not armed after its cancel, nor after that of an operator', async () => {
      await scheduleTwice()
      await shop.timers.cancel(kind, id)
      await makeRoom()
      assert.equal(await due(), null)
      await scheduleTwice()
      const [order] = (await shop.act('cancel', [{ id }], { kind })).orders
      assert.equal(order?.outcome, 'done')
      await makeRoom()
      assert.equal(await due(), null)
    })

    it('a timer that was kept and never armed is cancelled', async () => {
      await limitMemory(1)
      await shop.database.sequelize.transaction((transaction) => shop.timers.schedule(kind, id, { after: '2h', transaction }))
      await shop.timers.cancel(kind, id)
      await makeRoom()
      assert.equal(await due(), null)
      assert.equal((await refused(() => shop.timers.cancel(kind, id))).code, 'ERR_ORDER_TIMERS_NO_TIMER')
    })

    it('and then has room, a timer keeps the deadline that an extension has answered with, whatever was kept before', async () => {
      await scheduleTwice()
      await limitMemory(0)
      const { deadline } = await shop.timers.extend(kind, id, '5h')
      await makeRoom()
      assert.equal(await due(), deadline?.getTime())
    })
  })

  describe('of a timer that only Redis has, while Redis does not take it,', () => {
    const [KIND, ID] = ['order_other', '7'] as const
    let shop: Shop<OneOfEach>
    let redis: RuntimeRedis
    let first: number

    beforeEach(async () => {
      shop = await openShop(oneOfEach)
      redis = runtimeOf(shop.timers).redis as RuntimeRedis
      first = ((await shop.timers.schedule(KIND, ID, { after: '1h' })).deadline as Date).getTime()
    })
    afterEach(() => shop.close())

    const due = async () => (await armed(shop.redis, KIND, ID)).due
    const scheduleInTransaction = (after: '2h' | '3h') =>
      shop.database.sequelize.transaction((transaction) => shop.timers.schedule(KIND, ID, { after, transaction }))
    /** Holds a call of the index until `go`, then refuses it or lets it pass; `seen` once it is called. */
    const hold = (call: 'arm' | 'disarm', passes = false) => {
      const [seen, going] = [gate(), gate()]
      const real = redis.index[call] as (...values: unknown[]) => Promise<never>
      redis.index[call] = async (...values: unknown[]) => {
        seen.open()
        await going.opened
        if (passes) return real.apply(redis.index, values)
        throw new Error('LOADING Redis is loading the dataset in memory')
      }
      const end = () => void Reflect.deleteProperty(redis.index, call)
      return { seen: seen.opened, go: going.open, end }
    }
    const refuse = (call: 'arm' | 'disarm') => {
      const refusal = hold(call)
      refusal.go()
      return refusal
    }

    it('is not kept once the timer is cancelled', async () => {
      const refusal = refuse('arm')
      await scheduleInTransaction('2h')
      assert.equal(redis.arming.waiting, 1)
      await shop.timers.cancel(KIND, ID)
      assert.equal(redis.arming.waiting, 0)
      await scheduleInTransaction('2h')
      await redis.index.disarm(KIND, ID, undefined, 1_000)
      await shop.timers.cancel(KIND, ID) // of what is only kept
      assert.equal(redis.arming.waiting, 0)
      refusal.end()
    })

    it('is not kept if it fails after a later call has succeeded', async () => {
      const refusal = hold('arm')
      const scheduled = scheduleInTransaction('2h')
      await refusal.seen
      await shop.timers.cancel(KIND, ID)
      refusal.go()
      await scheduled
      refusal.end()
      assert.deepEqual([redis.arming.waiting, await due()], [0, null])

      await shop.timers.schedule(KIND, ID, { after: '1h' })
      const notRemoved = hold('disarm')
      const cancelled = shop.database.sequelize.transaction((transaction) => shop.timers.cancel(KIND, ID, { transaction }))
      await notRemoved.seen
      const { deadline } = await shop.timers.schedule(KIND, ID, { after: '3h' })
      notRemoved.go()
      await cancelled
      notRemoved.end()
      assert.deepEqual([redis.arming.waiting, await due()], [0, deadline?.getTime()])
    })

    it('is extended where it is kept', async () => {
      const refusal = refuse('arm')
      const kept = (await scheduleInTransaction('2h')).deadline as Date
      refusal.end()
      const { deadline } = await shop.timers.extend(KIND, ID, '1h')
      assert.equal(deadline?.getTime(), kept.getTime() + 3_600_000)
      assert.deepEqual([redis.arming.waiting, await due()], [0, deadline?.getTime()])
    })

    it('does not outlive a cancel that comes while it is repeated, and that must be repeated itself', async () => {
      const { arming } = redis
      const unarmed = refuse('arm')
      const { deadline } = await scheduleInTransaction('2h')
      unarmed.end()
      const repeated = hold('arm', true)
      await repeated.seen
      const notRemoved = refuse('disarm')
      await arming.disarmAlone(KIND, ID, first)
      repeated.go()
      await waitUntil(async () => (await due()) === deadline?.getTime())
      assert.equal(arming.waiting, 1)
      repeated.end()
      notRemoved.end()
      await waitUntil(async () => (await due()) === null)
      assert.equal(arming.waiting, 0)
    })
  })
})

function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}
