import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { WorkerEvents } from '../../../lib/index.js'
import { withExpiryEvents } from '../../../lib/redis/server.js'
import { Lines } from '../../support/lines.js'
import { RedisServer } from '../../support/redis-server.js'
import { openShop, type Shop, type ShopOptions, type TestWorker } from '../../support/shop.js'
import { type OneOfEach, oneOfEach } from '../../support/shop-rules.js'
import { waitForEvent, waitUntil } from '../../support/waiting.js'

type TestShop = Shop<OneOfEach>

const REMEDY = 'set in redis.conf: notify-keyspace-events Ex'

const notifications = async (client: Redis) => ((await client.config('GET', 'notify-keyspace-events')) as string[])[1]
const events = (worker: TestWorker) => waitUntil(() => worker.health().redis?.events, { what: 'a proof that events arrive' })

/** Orders of each path to be settled: one armed, one by a key that somebody sets. */
async function settlesBoth(shop: TestShop, worker: TestWorker): Promise<void> {
  const [ours, theirs] = [await shop.order({ status: 4 }), await shop.order({ status: 2 })]
  const before = worker.settled.length
  await shop.timers.schedule('order_confirm', ours, { after: 50 })
  await shop.redis.client.set(shop.key(`order_ship:${theirs}`), '1', 'PX', 50)
  await waitUntil(() => worker.settled.length === before + 2)
  assert.deepEqual(
    worker.settled
      .slice(before)
      .map(({ id, via }) => [id, via])
      .sort(),
    [
      [String(ours), 'alarm'],
      [String(theirs), 'event'],
    ].sort(),
  )
}

describe("Redis's settings", () => {
  let server: RedisServer
  let shop: TestShop

  const open = async (args: string[] = [], options: ShopOptions = {}) => {
    server = await RedisServer.start(args)
    shop = await openShop(oneOfEach, { redisUrl: server.url, ...options })
  }

  afterEach(async () => {
    await shop.close()
    await server.stop()
  })

  it('without notifications: a loud warning with the line for redis.conf; the alarm and the sweep carry on, and nothing is changed', async () => {
    const lines = new Lines()
    await open(['--notify-keyspace-events', ''], { logger: lines })
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const message = `Redis at 127.0.0.1:${server.port} db 0 publishes no expiry events (notify-keyspace-events is ""); ${REMEDY}`
    await waitUntil(() => worker.faultsTold.length)
    const fault = { code: 'EVENTS_OFF', message, remedy: REMEDY }
    assert.deepEqual(worker.faultsTold, [fault])
    assert.deepEqual(
      lines.all.filter(({ level }) => level === 'warn'),
      [{ level: 'warn', message: `EVENTS_OFF: ${message}`, fields: { code: 'EVENTS_OFF' } }],
    )
    const [{ since, ...shown } = { since: null }, ...others] = worker.health().faults
    assert.deepEqual([worker.health().status, since instanceof Date, shown, others], ['degraded', true, fault, []])

    const [armed, swept] = [await shop.order({ status: 4 }), await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 1000) })]
    await shop.timers.schedule('order_confirm', armed, { after: 50 })
    await waitUntil(() => worker.settled.length === 2)
    assert.deepEqual(
      new Map(worker.settled.map(({ id, via }) => [id, via])),
      new Map([
        [String(armed), 'alarm'],
        [String(swept), 'sweep'],
      ]),
    )
    assert.equal(await notifications(shop.redis.client), '')
  })

  it('with the wrong flags: the same warning, which shows them, and a line that keeps them', async () => {
    for (const flags of ['Kx', 'Eg', 'KA']) {
      await open(['--notify-keyspace-events', flags])
      const worker = await shop.worker({ fallback: false })
      await waitUntil(() => worker.faultsTold.length)
      const shown = await notifications(shop.redis.client)
      assert.equal(
        worker.faultsTold[0]?.message,
        `Redis at 127.0.0.1:${server.port} db 0 publishes no expiry events (notify-keyspace-events is "${shown}"); set in redis.conf: notify-keyspace-events ${withExpiryEvents(shown as string)}`,
      )
      if (flags !== 'KA') {
        await shop.close()
        await server.stop()
      }
    }
  })

  it('with configureRedis: true: the flags that lack are added, and the others left', async () => {
    await open(['--notify-keyspace-events', 'Kg$'])
    const worker = await shop.worker({ fallback: false, configureRedis: true })
    await events(worker)
    const flags = (await notifications(shop.redis.client)) as string
    assert.deepEqual([...flags].sort(), [...'Kg$Ex'].sort())
    await settlesBoth(shop, worker)
    assert.deepEqual(worker.faultsTold, [])
  })

  it('with all flags: nothing is said and nothing is changed', async () => {
    await open(['--notify-keyspace-events', 'KEA'])
    const before = await notifications(shop.redis.client)
    const worker = await shop.worker({ fallback: false, configureRedis: true })
    await events(worker)
    await settlesBoth(shop, worker)
    assert.equal(await notifications(shop.redis.client), before)
    assert.deepEqual([worker.faultsTold, worker.health().status], [[], 'ok'])
  })

  it('with an eviction policy: a warning, and another line when it is over', async () => {
    await open(['--maxmemory-policy', 'volatile-ttl'])
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.faultsTold.length)
    const message = `Redis at 127.0.0.1:${server.port} db 0 may evict timers (maxmemory-policy volatile-ttl); set "maxmemory-policy noeviction"`
    assert.deepEqual(worker.faultsTold, [{ code: 'EVICTION', message, remedy: 'set "maxmemory-policy noeviction"' }])
    await shop.redis.client.config('SET', 'maxmemory-policy', 'noeviction')
    await waitForEvent<WorkerEvents['recovered']>(worker, 'recovered', { where: ({ code }) => code === 'EVICTION' })
  })

  it('switched off while it runs: noticed by the expiry probe, and over when they are back', async () => {
    await open()
    const worker = await shop.worker({ fallback: false })
    await events(worker)
    await shop.redis.client.config('SET', 'notify-keyspace-events', '')
    await waitUntil(() => worker.faultsTold.length, { within: 10_000 })
    assert.deepEqual(
      worker.faultsTold.map(({ code }) => code),
      ['EVENTS_OFF'],
    )
    assert.match(
      worker.faultsTold[0]?.message as string,
      /^a test key expired in Redis at 127\.0\.0\.1:\d+ db 0 and its event did not arrive; .+ notify-keyspace-events Ex$/,
    )
    await shop.redis.client.config('SET', 'notify-keyspace-events', 'Ex')
    await waitForEvent<WorkerEvents['recovered']>(worker, 'recovered', { within: 5000, where: ({ code }) => code === 'EVENTS_OFF' })
    await settlesBoth(shop, worker)
  })
})

describe('a Redis user', () => {
  const BASE = ['+@read', '+@write', '+@scripting', '+@connection', '+@pubsub', '+time']
  let shop: TestShop
  let admin: Redis
  let name: string

  /** A shop whose timers connect as a user with these rights. */
  const openAs = async (rights: (prefix: string) => string[]) => {
    name = `u${randomBytes(4).toString('hex')}`
    const { hostname, port } = new URL(process.env.REDIS_URL as string)
    shop = await openShop(oneOfEach, { redis: { host: hostname, port: Number(port), username: name, password: 'p' } })
    admin = shop.redis.client
    await admin.acl('SETUSER', name, 'on', '>p', ...rights(shop.redis.prefix))
  }

  afterEach(() => shop.close())

  const dropUser = () => admin.acl('DELUSER', name)

  // ioredis says on the console that INFO is refused.
  const { warn } = console
  before(() => {
    console.warn = () => {}
  })
  after(() => {
    console.warn = warn
  })

  it('with least privilege, without CONFIG and INFO, will do: the expiry probe proves the events', async () => {
    await openAs((prefix) => [`~${prefix}*`, '&__keyevent@0__:expired', `&${prefix}*`, ...BASE])
    const worker = await shop.worker({ fallback: false })
    await events(worker)
    await settlesBoth(shop, worker)
    assert.deepEqual([worker.faultsTold, worker.health().status], [[], 'ok'])
    await dropUser()
  })

  it('who may not use CONFIG will do with configureRedis: true as well', async () => {
    await openAs((prefix) => [`~${prefix}*`, '&*', ...BASE])
    const worker = await shop.worker({ fallback: false, configureRedis: true })
    await events(worker)
    await settlesBoth(shop, worker)
    assert.deepEqual(worker.faultsTold, [])
    await dropUser()
  })

  it('who may use neither CLIENT nor SCRIPT will do', async () => {
    await openAs((prefix) => [`~${prefix}*`, '&*', ...BASE, '-client', '-script'])
    const worker = await shop.worker({ fallback: false })
    await events(worker)
    await settlesBoth(shop, worker)
    assert.deepEqual([worker.faultsTold, worker.health().status], [[], 'ok'])
    await dropUser()
  })

  it('who may not publish: timers are armed all the same, and on time', async () => {
    await openAs((prefix) => [`~${prefix}*`, '&*', ...BASE, '-publish'])
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ status: 4 })
    const timer = await shop.timers.schedule('order_confirm', id, { after: 2000 })
    assert.equal(timer.armed, true)
    assert.equal(await admin.exists(shop.key(`order_confirm:${id}`)), 1)
    await waitUntil(() => worker.settled.some((settled) => settled.id === String(id)))
    assert.ok((worker.settled[0]?.latenessMs as number) < 2000)
    await dropUser()
  })

  it('who may not subscribe: the line that allows it is told, the alarm carries on, and the worker subscribes when it may', async () => {
    await openAs((prefix) => [`~${prefix}*`, 'resetchannels', `&${prefix}*`, ...BASE])
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.faultsTold.length)
    const { port } = new URL(process.env.REDIS_URL as string)
    const message = `Redis at 127.0.0.1:${port} db 0 refuses to subscribe to __keyevent@0__:expired; keys that other services set are served only as far as a scan finds them in time; timers and the sweep still work; allow this user the channel (ACL SETUSER … &__keyevent@0__:expired)`
    assert.deepEqual(
      worker.faultsTold.map(({ code, message }) => [code, message]),
      [['SUBSCRIBE_REFUSED', message]],
    )
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id, { after: 50 })
    await waitUntil(async () => (await shop.statusOf(id)) === 5)
    const recovered = waitForEvent<WorkerEvents['recovered']>(worker, 'recovered', { where: ({ code }) => code === 'SUBSCRIBE_REFUSED' })
    await admin.acl('SETUSER', name, '&__keyevent@0__:expired')
    await recovered
    await settlesBoth(shop, worker)
    await dropUser()
  })
})

describe("the subscriber's connection", () => {
  it('that is killed subscribes again and catches up with what came due meanwhile', async () => {
    const server = await RedisServer.start()
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    const worker = await shop.worker({ fallback: false })
    await events(worker)
    for (let times = 0; times < 5; times++) {
      assert.equal(await shop.redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub'), 1)
      // Written past the timers: only the sweep that follows the subscription can know it before the schedule's next.
      const unknown = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 1000) })
      const armed = await shop.order({ status: 4 })
      await shop.timers.schedule('order_confirm', armed, { after: 20 })
      await waitUntil(async () => (await shop.statusOf(unknown)) === 5 && (await shop.statusOf(armed)) === 5)
      await waitUntil(() => worker.health().redis?.subscribed)
    }
    await settlesBoth(shop, worker)
    assert.equal(worker.health().status, 'ok')
    await shop.close()
    await server.stop()
  })

  it('that stays while the one for commands is cut is proved again at once, also by a worker whose pulses are seldom', async () => {
    const server = await RedisServer.start()
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    const worker = await shop.worker({ fallback: false, idle: 'economy' })
    await events(worker)
    const cutAt = performance.now()
    await shop.redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await waitUntil(() => worker.health().redis?.events === undefined)
    await events(worker)
    const tookMs = performance.now() - cutAt
    assert.ok(tookMs < 5_000, `it took ${tookMs} ms, and two pulses take 7,500 and more`)
    await shop.close()
    await server.stop()
  })

  it('and the one for commands come back after Redis was away, with everything that came due', async () => {
    const server = await RedisServer.start()
    const lines = new Lines()
    const shop = await openShop(oneOfEach, { redisUrl: server.url, logger: lines })
    const worker = await shop.worker({ fallback: false })
    await events(worker)
    const recovered = waitForEvent<WorkerEvents['recovered']>(worker, 'recovered', { where: ({ code }) => code === 'REDIS_UNAVAILABLE' })
    await server.kill()
    await waitUntil(() => worker.health().redis?.connected === false)
    assert.equal(worker.health().redis?.events, undefined)
    const id = await shop.order({ status: 4 })
    assert.equal((await shop.timers.schedule('order_confirm', id, { after: 1 })).armed, false)
    assert.equal(worker.health().status, 'degraded')
    await server.restart()
    await recovered
    await waitUntil(async () => (await shop.statusOf(id)) === 5)
    await waitUntil(() => worker.health().redis?.subscribed)
    await settlesBoth(shop, worker)
    await waitUntil(() => worker.faultsTold.length === 2)
    assert.deepEqual(
      worker.faultsTold.map(({ code }) => code),
      ['REDIS_UNAVAILABLE', 'REDIS_LOST_DATA'],
    )
    const told = lines.all.filter(({ level, fields }) => level !== 'debug' && fields.code === 'REDIS_UNAVAILABLE')
    assert.deepEqual(
      told.map(({ level, message }) => [level, message]),
      [
        [
          'warn',
          `REDIS_UNAVAILABLE: Redis at 127.0.0.1:${server.port} db 0 does not answer; the sweep over Postgres carries on; check that it runs and can be reached`,
        ],
        ['info', 'REDIS_UNAVAILABLE: over'],
      ],
    )
    await shop.close()
    await server.stop()
  })
})

describe('a Redis that cannot serve', () => {
  const kinds: [string, (primary: RedisServer) => string[], what: string, remedy: string][] = [
    [
      "a cluster's node",
      () => ['--cluster-enabled', 'yes'],
      'is a node of a cluster, which serves only a part of the keys',
      'give its cluster: redis: { nodes: ["host:port"] }',
    ],
    [
      'a replica',
      (primary) => ['--replicaof', '127.0.0.1', String(primary.port)],
      'is a replica, which publishes no expiry events and takes no writes',
      'give the primary, or Sentinels',
    ],
  ]
  for (const [title, args, what, remedy] of kinds) {
    it(`(${title}) is refused with REDIS_UNUSABLE, and the sweep carries on`, async () => {
      const primary = await RedisServer.start()
      const server = await RedisServer.start(args(primary))
      const shop = await openShop(oneOfEach, { redisUrl: server.url })
      const worker = await shop.worker({ fallback: '* * * * * *' })
      await waitUntil(() => worker.faultsTold.some(({ code }) => code === 'REDIS_UNUSABLE'))
      const message = `Redis at 127.0.0.1:${server.port} db 0 cannot serve: this Redis ${what}; ${remedy}`
      const { code, message: shown, remedy: told } = worker.faultsTold[0] ?? {}
      assert.deepEqual([code, shown, told], ['REDIS_UNUSABLE', message, remedy])
      const id = await shop.order({ status: 4 })
      assert.equal((await shop.timers.schedule('order_confirm', id, { after: 1 })).armed, false)
      await waitUntil(async () => (await shop.statusOf(id)) === 5)
      assert.equal(worker.settled[0]?.via, 'sweep')
      await shop.close()
      await Promise.all([server.stop(), primary.stop()])
    })
  }
})
