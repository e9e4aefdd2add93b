// Redis answers and refuses to write, for whichever reason: told within three seconds whoever meets it first, told once, and over as soon as
// a write succeeds. What it did not take meanwhile is armed then.

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import type { HandlerWork } from '../../lib/index.js'
import type { RuntimeRedis } from '../../lib/timers/runtime.js'
import { armed } from '../support/armed.js'
import { Lines } from '../support/lines.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { holdsFor, waitUntil } from '../support/waiting.js'
import { confirmed, confirming, EVERY_SECOND, ship, wereNotLate } from './confirming.js'

interface Reason {
  title: string
  word: string
  refuse(server: RedisServer, call: Call): Promise<unknown>
  allow(server: RedisServer, call: Call): Promise<unknown>
}

type Call = (command: string, ...args: string[]) => Promise<unknown>

const REASONS: Reason[] = [
  {
    title: 'its memory is full',
    word: 'OOM',
    refuse: (_, call) => call('CONFIG', 'SET', 'maxmemory', '1'),
    allow: (_, call) => call('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    title: 'it cannot save its data',
    word: 'MISCONF',
    refuse: async (server, call) => {
      await call('CONFIG', 'SET', 'save', '3600 1000')
      await rm(server.directory, { recursive: true })
      await call('BGSAVE')
      await waitUntil(async () => String(await call('INFO', 'persistence')).includes('rdb_last_bgsave_status:err'))
    },
    allow: (_, call) => call('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no'),
  },
  {
    title: 'too few replicas follow',
    word: 'NOREPLICAS',
    refuse: (_, call) => call('CONFIG', 'SET', 'min-replicas-to-write', '1'),
    allow: (_, call) => call('CONFIG', 'SET', 'min-replicas-to-write', '0'),
  },
  {
    title: 'its user may not write any more',
    word: 'NOPERM',
    refuse: (_, call) => call('ACL', 'SETUSER', 'default', '-@write'),
    allow: (_, call) => call('ACL', 'SETUSER', 'default', '+@all'),
  },
]

describe('When Redis refuses to write, since', () => {
  let redis: RedisServer

  beforeEach(async () => {
    redis = await RedisServer.start()
  })
  afterEach(() => redis.stop())

  const open = async () => {
    const shop = await openShop(confirming(), { redisUrl: redis.url })
    const call: Call = (command, ...args) => shop.redis.client.call(command, ...args)
    return { shop, call }
  }
  const refusedNow = (shop: { timers: object }) => (runtimeOf(shop.timers).redis as RuntimeRedis).connection.refusals.present

  for (const { title, word, refuse, allow } of REASONS) {
    it(`${title}, an idle worker says so once, and once that it is over`, async () => {
      const { shop, call } = await open()
      const worker = await shop.worker({ fallback: EVERY_SECOND })
      const told = notes(worker)
      await refuse(redis, call)
      await waitUntil(() => told.includes('fault REDIS_REFUSES'), { within: 3000, what: 'the fault' })
      await holdsFor(3000, () => worker.health().status === 'degraded')
      const fault = worker.health().faults.find(({ code }) => code === 'REDIS_REFUSES')
      // Within a script Redis 7.0 says it in words of its own.
      assert.match(fault?.message ?? '', new RegExp(`${word}|user executing the script`))
      assert.ok(fault?.remedy)
      assert.equal(worker.health().redis?.events, undefined)
      await allow(redis, call)
      await waitUntil(() => worker.health().status === 'ok', { within: 7000, what: 'the worker to be well' })
      assert.deepEqual(told, ['fault REDIS_REFUSES', 'recovered REDIS_REFUSES'])
      await shop.close()
    }).timeout(20_000)

    it(`${title}, orders that come due meanwhile neither end nor renew the fault`, async () => {
      const { shop, call } = await open()
      const worker = await shop.worker({ fallback: EVERY_SECOND })
      const told = notes(worker)
      await ship(shop, 10, 1500)
      await refuse(redis, call)
      for (let times = 0; times < 10; times += 1) {
        await ship(shop, 2, 300)
        await holdsFor(300, () => true)
      }
      await confirmed(shop, 30)
      await allow(redis, call)
      await waitUntil(() => worker.health().status === 'ok', { within: 7000, what: 'the worker to be well' })
      assert.deepEqual(told, ['fault REDIS_REFUSES', 'recovered REDIS_REFUSES'])
      await shop.close()
    }).timeout(30_000)

    it(`${title}, a process without a worker knows it from its first write, and arms what it kept when that is over`, async () => {
      const { shop, call } = await open()
      await refuse(redis, call)
      const ids = await ship(shop, 20, 60_000)
      assert.equal(refusedNow(shop)?.word, word)
      for (const id of ids) assert.equal((await shop.timers.schedule('order_confirm', id, { after: 60_000 })).armed, false)
      await allow(redis, call)
      await waitUntil(() => refusedNow(shop) === undefined, { within: 7000, what: 'writes to succeed' })
      for (const id of ids) await waitUntil(async () => (await armed(shop.redis, 'order_confirm', id)).due !== null)
      await shop.close()
    }).timeout(20_000)
  }

  it('its memory is full, and then has room again, timers are punctual within two seconds', async () => {
    const { shop, call } = await open()
    const worker = await shop.worker({ fallback: false })
    await call('CONFIG', 'SET', 'maxmemory', '1')
    await waitUntil(() => worker.health().status === 'degraded')
    const ids = await ship(shop, 20, 5000)
    await call('CONFIG', 'SET', 'maxmemory', '0')
    await waitUntil(() => worker.health().status === 'ok', { within: 2500 })
    await confirmed(shop, 20, 8000)
    await wereNotLate(shop.database, ids)
    await shop.close()
  }).timeout(20_000)

  it('its user may run no script, it is asked again about the expired key of another service, which nothing else tells of', async () => {
    const calls: string[] = []
    const logger = new Lines()
    const shop = await openShop(() => ({ order_other: ({ ids }: HandlerWork) => void calls.push(...ids) }), { redisUrl: redis.url, logger })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events)
    await shop.redis.client.call('ACL', 'SETUSER', 'default', '-eval', '-evalsha')
    await shop.redis.client.publish('__keyevent@0__:expired', shop.key('order_other:34'))
    await waitUntil(() => logger.of('debug').includes('order_other: Redis has not answered about 1 expiry events yet'))
    assert.deepEqual(calls, [])
    await shop.redis.client.call('ACL', 'SETUSER', 'default', '+@all')
    await waitUntil(() => calls.length > 0)
    assert.deepEqual(calls, ['34'])
    await shop.close()
  }).timeout(20_000)
})

function notes(worker: TestWorker): string[] {
  const told: string[] = []
  worker.on('fault', ({ code }) => told.push(`fault ${code}`))
  worker.on('recovered', ({ code }) => told.push(`recovered ${code}`))
  return told
}
