// Redis down, killed, frozen, silent, emptied, evicting, read-only, out of memory, its rights or its events taken away. Postgres has the
// deadlines: nothing is lost, the sweep carries on, the worker says once what is wrong and heals by itself.

import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'
import type { Pool } from 'pg'
import { Keys } from '../../lib/keys.js'
import { openRedis } from '../support/redis.js'
import { RedisServer } from '../support/redis-server.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { inTurns } from '../support/turns.js'
import { holdsFor, inTime, waitForEvent, waitUntil } from '../support/waiting.js'
import { confirmed, confirming, countIn, EVERY_SECOND, latest, ship, wereNotLate, wereOnTime } from './confirming.js'
import { scriptRequest } from './script-request.js'

const NOTICED_WITHIN_MS = 5000

describe('When Redis', () => {
  let redis: RedisServer
  const open = (redisUrl = redis.url) => openShop(confirming(), { redisUrl })

  beforeEach(async () => {
    redis = await RedisServer.start()
  })
  afterEach(() => redis.stop())

  it('is down at the start, the worker sweeps, says so once, and is punctual as soon as Redis is there', async () => {
    await redis.kill()
    const shop = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const told = notes(worker)
    await ship(shop, 5, 100)
    await confirmed(shop, 5)
    assert.deepEqual(
      worker.faultsTold.map(({ code }) => code),
      ['REDIS_UNAVAILABLE'],
    )

    await redis.restart()
    await waitUntil(() => told.includes('recovered REDIS_UNAVAILABLE') && worker.health().redis?.subscribed)
    const ids = await ship(shop, 20, 1500)
    await confirmed(shop, 25)
    await wereOnTime(shop.database, ids, worker)
    assert.equal(worker.health().status, 'ok')
    await shop.close()
  })

  it('is killed and comes back empty, every timer is armed again and punctual', async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const ids = await ship(shop, 100, 4000)
    await redis.kill()
    await fault(worker, 'REDIS_UNAVAILABLE')
    await redis.restart()
    await confirmed(shop, 100, 8000)
    await wereOnTime(shop.database, ids, worker)
    await shop.close()
  })

  it('comes back empty and no sweep is scheduled, every timer is still armed again', async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: false })
    const ids = await ship(shop, 20, 3000)
    await redis.kill()
    await fault(worker, 'REDIS_UNAVAILABLE')
    await redis.restart()
    await confirmed(shop, 20, 8000)
    await wereNotLate(shop.database, ids)
    await shop.close()
  })

  it('was killed with its data on disk, what expired meanwhile is settled when it is back', async () => {
    await redis.restart(['--appendonly', 'yes', '--appendfsync', 'always'])
    const shop = await open()
    const worker = await shop.worker({ fallback: false })
    await ship(shop, 20, 3000)
    await redis.kill()
    await fault(worker, 'REDIS_UNAVAILABLE')
    await waitUntil(async () => (await overdueSince(shop.database.client)) > 200)
    const back = performance.now()
    await redis.restart()
    await confirmed(shop, 20)
    assert.ok(performance.now() - back < 3000)
    await shop.close()
  })

  it('is emptied by FLUSHALL while running, every order is still settled', async () => {
    const shop = await open()
    await shop.worker({ fallback: EVERY_SECOND })
    await ship(shop, 50, 2000)
    await shop.redis.client.flushall()
    await confirmed(shop, 50)
    await shop.close()
  })

  it("loses the timers' keys, orders are on time by the index; loses the index too, that is reported", async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const first = await ship(shop, 20, 2000)
    await shop.redis.client.unlink(...first.map((id) => shop.key(`order_confirm:${id}`)))
    await confirmed(shop, 20)
    await wereOnTime(shop.database, first, worker)
    await ship(shop, 20, 3000)
    await shop.redis.client.unlink(...(await shop.redis.client.keys('*')))
    await confirmed(shop, 40)
    assert.deepEqual(
      worker.faultsTold.map(({ code }) => code),
      ['REDIS_LOST_DATA'],
    )
    await shop.close()
  })

  it('may evict, the worker says so at its start', async () => {
    await redis.restart(['--maxmemory', '100mb', '--maxmemory-policy', 'volatile-ttl'])
    const shop = await open()
    const worker = await shop.worker()
    await waitUntil(() => worker.faultsTold.some(({ code }) => code === 'EVICTION'))
    await shop.close()
  })

  for (const [what, freeze] of [
    ['is frozen by SIGSTOP', async () => redis.pause()],
    ['pauses its clients', (client: Redis) => client.call('CLIENT', 'PAUSE', '4000', 'ALL')],
  ] as const) {
    it(`${what}, it is noticed in time, the sweep carries on, and all is well afterwards`, async () => {
      const shop = await open()
      const worker = await shop.worker({ fallback: EVERY_SECOND })
      const told = notes(worker)
      await freeze(shop.redis.client)
      await fault(worker, 'REDIS_UNAVAILABLE')
      await ship(shop, 10, 100)
      await confirmed(shop, 10)
      redis.resume()
      await waitUntil(() => told.includes('recovered REDIS_UNAVAILABLE') && worker.health().redis?.subscribed)
      const ids = await ship(shop, 20, 1500)
      await confirmed(shop, 30)
      await wereOnTime(shop.database, ids, worker)
      assert.equal(told.filter((note) => note === 'fault REDIS_UNAVAILABLE').length, 1)
      await shop.close()
    })
  }

  it('goes silent on open connections, it is noticed in time and recovers', async () => {
    const proxy = await TcpProxy.start(redis.port)
    const shop = await open(`redis://127.0.0.1:${proxy.port}`)
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    proxy.silence()
    await fault(worker, 'REDIS_UNAVAILABLE')
    await ship(shop, 10, 100)
    await confirmed(shop, 10)
    proxy.pass()
    await waitUntil(() => worker.health().status === 'ok' && worker.health().redis?.subscribed)
    const ids = await ship(shop, 20, 1500)
    await confirmed(shop, 30)
    await wereOnTime(shop.database, ids, worker)
    await shop.close()
    await proxy.stop()
  })

  it('has connections that flap for seconds, every order is settled and no listener leaks', async () => {
    const proxy = await TcpProxy.start(redis.port)
    const shop = await open(`redis://127.0.0.1:${proxy.port}`)
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await ship(shop, 200, 2000)
    for (let reset = 0; reset < 10; reset += 1) {
      proxy.reset()
      await holdsFor(200, () => true)
    }
    await confirmed(shop, 200)
    await waitUntil(() => worker.health().status === 'ok')
    await shop.close()
    await proxy.stop()
  })

  for (const script of ['orderTimersClaim', 'orderTimersFinish'] as const) {
    it(`does what ${script} asks and its answer is lost, every order is settled once and soon`, async () => {
      const proxy = await TcpProxy.start(redis.port)
      const shop = await open(`redis://127.0.0.1:${proxy.port}`)
      await shop.worker({ fallback: false })
      const ids = await ship(shop, 20, 600)
      proxy.dropReply(scriptRequest(script), 3)
      await confirmed(shop, 20)
      assert.ok((await latest(shop.database, ids)) < 3000)
      await shop.close()
      await proxy.stop()
    })
  }

  describe('does not acknowledge that a claim has ended, since', () => {
    /** Fails the first time that it runs. */
    const failing = (attempts?: number) => {
      const runs = { count: 0 }
      const run = () => {
        runs.count += 1
        if (runs.count === 1) throw new Error('no stamps')
      }
      return { rules: confirming({ run, ...(attempts !== undefined && { attempts }) }), runs }
    }

    for (const { since, lose } of [
      { since: 'it never received that', lose: (proxy: TcpProxy, end: string[]) => void proxy.hold(end).seen.then(() => proxy.reset()) },
      { since: 'its answer was lost', lose: (proxy: TcpProxy, end: string[]) => proxy.dropReply(end) },
    ]) {
      it(`${since}, a timer whose handler failed is tried again without waiting for the lease`, async () => {
        const proxy = await TcpProxy.start(redis.port)
        let calls = 0
        const handler = () => {
          calls += 1
          if (calls === 1) throw new Error('no stamps')
        }
        const shop = await openShop(() => ({ order_other: handler }), { redisUrl: `redis://127.0.0.1:${proxy.port}` })
        await shop.worker({ fallback: false, lease: '1m' })
        lose(proxy, scriptRequest('orderTimersFinish'))
        await shop.timers.schedule('order_other', 34, { after: 300 })
        await waitUntil(() => calls === 2, { within: 15_000 })
        await shop.close()
        await proxy.stop()
      })
    }

    it('it never received that, a dead letter has one attempt more', async () => {
      const proxy = await TcpProxy.start(redis.port)
      const { rules } = failing(1)
      const shop = await openShop(rules, { redisUrl: `redis://127.0.0.1:${proxy.port}` })
      const worker = await shop.worker({ fallback: false })
      const end = proxy.hold(scriptRequest('orderTimersFinish'))
      await ship(shop, 1, 300)
      await end.seen
      proxy.reset()
      await confirmed(shop, 1)
      assert.equal(worker.deadTold.length, 1)
      await waitUntil(async () => (await shop.timers.dead('order_confirm')).length === 0)
      await shop.close()
      await proxy.stop()
    })

    it('the network was split, the message that arrives after its retry changes nothing', async () => {
      const proxy = await TcpProxy.start(redis.port)
      const { rules, runs } = failing()
      const shop = await openShop(rules, { redisUrl: `redis://127.0.0.1:${proxy.port}` })
      await shop.worker({ fallback: false })
      const end = proxy.hold(scriptRequest('orderTimersFinish'))
      await ship(shop, 1, 300)
      await end.seen
      proxy.abandon()
      await confirmed(shop, 1)
      const { due, failures } = new Keys(shop.redis.prefix).sets('order_confirm')
      const direct = await openRedis({ url: redis.url })
      await waitUntil(async () => (await direct.client.exists(due, failures)) === 0)
      end.release()
      await holdsFor(300, async () => (await direct.client.exists(due, failures)) === 0)
      assert.equal(runs.count, 2)
      await direct.close()
      await shop.close()
      await proxy.stop()
    })

    it('it refuses to write, the worker reports it', async () => {
      const shop = await openShop(confirming({ run: () => setMinimumOfReplicas(1) }), { redisUrl: redis.url })
      const setMinimumOfReplicas = async (count: number) => void (await shop.redis.client.config('SET', 'min-replicas-to-write', count))
      const worker = await shop.worker({ fallback: false })
      await ship(shop, 1, 300)
      await fault(worker, 'REDIS_REFUSES')
      assert.equal(await countIn(shop.database, 5), 1)
      await setMinimumOfReplicas(0)
      await waitUntil(() => worker.health().status === 'ok', { within: NOTICED_WITHIN_MS })
      await shop.close()
    })
  })

  it('became a replica after a failover, the sweep carries on until it is a primary again', async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const told = notes(worker)
    await shop.redis.client.replicaof('127.0.0.1', 1)
    await ship(shop, 30, 300)
    await confirmed(shop, 30)
    await waitUntil(() => told.some((note) => /fault REDIS_/.test(note)), { within: NOTICED_WITHIN_MS })
    await shop.redis.client.replicaof('NO', 'ONE')
    await waitUntil(() => worker.health().status === 'ok', { within: NOTICED_WITHIN_MS })
    const ids = await ship(shop, 20, 1500)
    await confirmed(shop, 50)
    await wereOnTime(shop.database, ids, worker)
    await shop.close()
  })

  it('has no memory left, orders are still scheduled and settled', async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await shop.redis.client.config('SET', 'maxmemory', '1')
    await ship(shop, 30, 300)
    await confirmed(shop, 30)
    await shop.redis.client.config('SET', 'maxmemory', '0')
    await waitUntil(() => worker.health().status === 'ok', { within: NOTICED_WITHIN_MS })
    const ids = await ship(shop, 20, 1500)
    await confirmed(shop, 50)
    await wereOnTime(shop.database, ids, worker)
    await shop.close()
  })

  it('has its notifications switched off while running, that is noticed in time and timers stay punctual', async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events)
    await shop.redis.client.config('SET', 'notify-keyspace-events', '')
    const noticed = fault(worker, 'EVENTS_OFF')
    const ids = await ship(shop, 20, 1500)
    await confirmed(shop, 20)
    await wereNotLate(shop.database, ids)
    await noticed
    await shop.redis.client.config('SET', 'notify-keyspace-events', 'Ex')
    await waitForEvent(worker, 'recovered', { within: NOTICED_WITHIN_MS })
    await shop.close()
  })

  it("kills the subscribers' connections again and again, timers are settled and the subscription comes back", async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    for (let time = 0; time < 20; time += 1) {
      await shop.redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await ship(shop, 5, 100)
      await holdsFor(50, () => true)
    }
    await confirmed(shop, 100)
    await waitUntil(() => worker.health().redis?.subscribed)
    await shop.close()
  })

  it('takes the right to subscribe away while running, the process lives, says so, and recovers with the right', async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await shop.redis.client.call('ACL', 'SETUSER', 'default', 'resetchannels')
    await shop.redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await fault(worker, 'SUBSCRIBE_REFUSED')
    // Without the wake channel an alarm may have a second to sleep when something earlier comes in.
    const ids = await ship(shop, 20, 2000)
    await confirmed(shop, 20)
    await wereOnTime(shop.database, ids, worker)
    await shop.redis.client.call('ACL', 'SETUSER', 'default', 'allchannels')
    await waitUntil(() => worker.health().redis?.subscribed && worker.health().status === 'ok')
    await shop.close()
  })

  it('suddenly requires a password, the sweep continues and the worker recovers', async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await shop.redis.client.call('ACL', 'SETUSER', 'helper', 'on', '>secret', '~*', '&*', '+@all')
    await shop.redis.client.call('AUTH', 'helper', 'secret')
    await shop.redis.client.call('ACL', 'SETUSER', 'default', 'off')
    await shop.redis.client.call('CLIENT', 'KILL', 'USER', 'default')
    await fault(worker, 'REDIS_UNAVAILABLE')
    await ship(shop, 10, 100)
    await confirmed(shop, 10)
    await shop.redis.client.call('ACL', 'SETUSER', 'default', 'on')
    await waitUntil(() => worker.health().status === 'ok' && worker.health().redis?.subscribed)
    await shop.close()
  })

  it('did not answer for ten seconds, timers are punctual again within two seconds of its return', async () => {
    const shop = await open()
    const worker = await shop.worker()
    await redis.kill()
    await fault(worker, 'REDIS_UNAVAILABLE')
    const due = Array.from({ length: 60 }, (_, n) => n)
    await holdsFor(10_000 - 1000, () => true, { every: 500 })
    await inTurns(due, (n) => ship(shop, 5, 2100 + n * 50), 3)
    await redis.restart()
    await inTime(confirmed(shop, 300, 12_000), 12_000, 'all to be confirmed')
    const lateness = await shop.database.ledger.lateness()
    const p99 = lateness[Math.floor(lateness.length * 0.99)] as number
    assert.ok(p99 < 2000, `p99 ${p99} ms`)
    await shop.close()
  }).timeout(40_000)

  it('is silent during a request, the request still has its answer, and the order is armed when Redis is back', async () => {
    const shop = await open()
    await shop.worker({ fallback: false })
    await shop.timers.check()
    const order = await shop.database.Order.create({ status: 4 })
    redis.pause()
    const asked = performance.now()
    const timer = await shop.timers.schedule('order_confirm', order, { after: 4000 })
    assert.ok(performance.now() - asked < 1000, `answered after ${performance.now() - asked} ms`)
    assert.equal(timer.armed, false)
    await holdsFor(1000, () => true, { every: 200 })
    redis.resume()
    await confirmed(shop, 1, 8000)
    await wereNotLate(shop.database, [order.id])
    await shop.close()
  })

  for (const [what, bring] of [
    ['down', () => redis.kill()],
    ['frozen', () => redis.pause()],
  ] as const) {
    it(`is ${what}, fifty requests at once have their answers within two seconds each`, async () => {
      const shop = await open()
      await shop.timers.check()
      const orders = await shop.database.Order.bulkCreate(Array.from({ length: 50 }, () => ({ status: 4 })))
      await bring()
      const times = await Promise.all(
        orders.map(async (order) => {
          const asked = performance.now()
          assert.equal((await shop.timers.schedule('order_confirm', order, { after: 60_000 })).armed, false)
          return performance.now() - asked
        }),
      )
      assert.ok(Math.max(...times) < 2000, `answered after ${Math.max(...times)} ms`)
      assert.equal(await countIn(shop.database, 4), 50)
      redis.resume()
      await shop.close()
    })
  }
})

/** What the worker tells about faults, as it comes. */
function notes(worker: TestWorker): string[] {
  const told = worker.faultsTold.map(({ code }) => `fault ${code}`)
  worker.on('fault', ({ code }) => told.push(`fault ${code}`))
  worker.on('recovered', ({ code }) => told.push(`recovered ${code}`))
  return told
}

async function fault(worker: TestWorker, code: string): Promise<void> {
  await waitUntil(() => worker.faultsTold.some((told) => told.code === code), { within: NOTICED_WITHIN_MS, what: `the fault ${code}` })
}

async function overdueSince(client: Pool): Promise<number> {
  const sql = `SELECT coalesce(min(extract(epoch FROM clock_timestamp() - "confirmDueAt") * 1000), 0)::float8 AS late FROM orders WHERE status = 4`
  return (await client.query<{ late: number }>(sql)).rows[0]?.late ?? 0
}
