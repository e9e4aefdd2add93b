import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { NewKeys } from '../../../lib/worker/intake/new-keys.js'
import { Lines } from '../../support/lines.js'
import { RedisServer } from '../../support/redis-server.js'
import { openShop, type Shop, type ShopOptions } from '../../support/shop.js'
import { type OneOfEach, oneOfEach } from '../../support/shop-rules.js'
import { waitUntil } from '../../support/waiting.js'

const OTHERS = 50_000
const KEYS = 30
const LIFE_MS = 2_000
const CHANNEL = '__keyevent@0__:expire'

describe('keys that somebody else sets, where Redis publishes that', () => {
  let server: RedisServer
  let shop: Shop<OneOfEach>
  let client: Redis

  const open = async (flags: string, options: ShopOptions = {}) => {
    server = await RedisServer.start(['--notify-keyspace-events', flags, '--enable-debug-command', 'yes'])
    shop = await openShop(oneOfEach, { redisUrl: server.url, ...options })
    client = shop.redis.client
    // Redis publishes an expiry only when something touches the key.
    await client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
  }
  const set = async (how: (key: string) => Promise<unknown>) => {
    const id = await shop.order({ status: 2 })
    await how(shop.key(`order_ship:${id}`))
    return String(id)
  }
  const setFor = (lifeMs: number) => set((key) => client.set(key, '1', 'PX', lifeMs))

  afterEach(async () => {
    await shop.close()
    await server.stop()
  })

  it('are settled within seconds of their expiry although no pass of the scan has ended, and among many others', async function () {
    this.timeout(60_000)
    await open('Exg')
    for (let first = 0; first < OTHERS; first += 10_000) {
      const pipeline = client.pipeline()
      for (let i = first; i < first + 10_000; i++) pipeline.set(`session:${i}`, '1', 'EX', 3600)
      await pipeline.exec()
    }
    const worker = await shop.worker({ fallback: false })
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: KEYS }, () => ({ status: 2 })))
    const at = Date.now() + LIFE_MS
    await Promise.all(orders.map(({ id }, i) => client.set(shop.key(`order_ship:${id}`), '1', 'PXAT', at + i)))
    await waitUntil(() => worker.settled.length === KEYS)
    assert.deepEqual([worker.health().redis?.externalScans, worker.health().redis?.externalScanMs], [0, undefined])
    const late = (await shop.database.ledger.changes()).map((change) => change.at.getTime() - at)
    assert.ok(Math.min(...late) >= 0 && Math.max(...late) < 2_000, `late by ${late.join(', ')} ms`)
    assert.ok(worker.settled.some(({ via }) => via === 'event')) // the others found the worker busy, and waited in the index for its alarm
  })

  it('are heard of as soon as the flag is set, without a scan, until it is taken away', async () => {
    await open('Ex')
    const worker = await shop.worker({ fallback: false, idle: 'economy' })
    const flags = (wanted: string) => client.config('SET', 'notify-keyspace-events', wanted)
    const missed = [await setFor(50)]
    await flags('Exg')
    const heard = [await setFor(300), await set((key) => client.setex(key, 1, '1'))]
    await waitUntil(() => worker.settled.length === 2)
    await flags('Ex')
    missed.push(await setFor(50))
    await flags('EA')
    heard.push(await set((key) => client.multi().set(key, '1').pexpire(key, 300).exec()))
    await waitUntil(() => worker.settled.length === 3)
    assert.deepEqual(
      worker.settled.map(({ id, via }) => [id, via]),
      heard.map((id) => [id, 'event']),
    )
    assert.equal(await client.exists(...missed.map((id) => shop.key(`order_ship:${id}`))), 0)
  })

  it('are found by the scan for a user who may not subscribe to it, which is no fault; a later connection may', async () => {
    const name = `u${randomBytes(4).toString('hex')}`
    const lines = new Lines()
    await open('Exg', { logger: lines })
    await shop.timers.close()
    const rights = ['+@read', '+@write', '+@scripting', '+@connection', '+@pubsub', '+time', '+info', '+config|get']
    const channels = ['resetchannels', '&__keyevent@0__:expired', `&${shop.redis.prefix}*`]
    await client.acl('SETUSER', name, 'on', '>p', `~${shop.redis.prefix}*`, ...channels, ...rights)
    const redis = { port: server.port, username: name, password: 'p' }
    const user = await openShop(oneOfEach, { redisUrl: server.url, redis, prefix: shop.redis.prefix, logger: lines })
    const worker = await user.worker({ fallback: false })
    const refused = `Redis at localhost:${server.port} db 0 refuses to subscribe to ${CHANNEL}; keys that other services set are found by scans alone`
    await waitUntil(() => lines.of('debug').includes(refused))
    const id = await user.order({ status: 2 })
    await client.set(shop.key(`order_ship:${id}`), '1', 'PX', 4_000)
    await waitUntil(() => worker.settled.some((settled) => settled.id === String(id)))
    assert.deepEqual([worker.faultsTold, worker.health().status], [[], 'ok'])
    await client.acl('SETUSER', name, `&${CHANNEL}`)
    await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await waitUntil(async () => ((await client.pubsub('NUMSUB', CHANNEL)) as [string, number])[1] === 1)
    await user.close()
  })

  it('are told from our own timers, whose keys nobody touches', async () => {
    await open('Exg')
    const worker = await shop.worker({ fallback: false })
    const monitor = await client.monitor()
    const touched: string[] = []
    monitor.on('monitor', (_at, [command = '', ...keys]: string[], source: string) => {
      if (command.toLowerCase() === 'exists' && source !== 'lua') touched.push(...keys)
    })
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: 100 }, () => ({ status: 4 })))
    await Promise.all(orders.map(({ id }) => shop.timers.schedule('order_confirm', id, { after: 500 })))
    const theirs = await setFor(1_000)
    await waitUntil(() => worker.settled.length === 101)
    await waitUntil(() => touched.length > 0)
    assert.deepEqual(new Set(touched), new Set([shop.key(`order_ship:${theirs}`)]))
    monitor.disconnect()
  })
})

describe('a flood of keys that get a TTL', () => {
  it('costs nothing but for names of our kinds, which are looked at in batches, each name once, after a failure too', async () => {
    const batches: (readonly string[])[] = []
    const keys = new NewKeys(['shop:order_pay:', 'shop:order_ship:'], async (names) => {
      batches.push(names)
      if (batches.length === 1) throw new Error('Redis does not answer')
    })
    for (let i = 0; i < 1_500; i += 1)
      for (const name of [`shop:order_pay:${i}`, `order_pay:${i}`, `shop:order_payment:${i}`, `session:${i}`]) keys.take(name)
    for (let i = 0; i < 1_500; i += 1) keys.take(`shop:order_pay:${i}`)
    keys.take('shop:order_ship:1')
    await waitUntil(() => batches.flat().length >= 1_501)
    assert.deepEqual(
      batches.map(({ length }) => length),
      [1_000, 501],
    )
    keys.take('shop:order_ship:2')
    await keys.stop()
    assert.equal(batches.length, 2)
  })
})
