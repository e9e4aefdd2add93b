// Redis is there and serves nothing for a while: it loads its data, or somebody's script occupies it. Told as REDIS_UNAVAILABLE with Redis's own
// word, by workers and web processes alike, once, and over when it serves again.

import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import { RedisServer } from '../support/redis-server.js'
import { openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { blockEventLoop } from '../support/standing-still.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { waitUntil } from '../support/waiting.js'

describe('While Redis', () => {
  let server: RedisServer

  afterEach(() => server.stop())

  const open = async () => {
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events)
    const told: string[] = []
    worker.on('fault', ({ code }) => told.push(`fault ${code}`))
    worker.on('recovered', ({ code }) => told.push(`recovered ${code}`))
    const schedule = async () => (await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }), { after: '1h' })).armed
    const messages = () => [worker.health(), shop.timers.health()].map(({ faults }) => faults.map(({ message }) => message).join())
    return { shop, worker, told, schedule, messages }
  }

  it('is occupied by a script, that is reported with the remedy, and over when the script is', async () => {
    server = await RedisServer.start(['--lua-time-limit', '100'])
    const { shop, worker, told, schedule, messages } = await open()
    const other = new Redis(server.url)
    const ended = other.eval('while true do end', 0).catch(() => {})
    await waitUntil(() => told.includes('fault REDIS_UNAVAILABLE'), { within: 3000 })
    await waitUntil(async () => !(await schedule()))
    await waitUntil(() => messages().every((message) => /BUSY.*; a script blocks Redis; end it with SCRIPT KILL/.test(message)))
    assert.equal(worker.health().redis?.connected, false)
    await shop.redis.client.script('KILL')
    await ended
    await waitUntil(() => worker.health().status === 'ok' && shop.timers.health().status === 'ok')
    await waitUntil(() => shop.timers.health().redis?.kept === 0)
    assert.deepEqual(told, ['fault REDIS_UNAVAILABLE', 'recovered REDIS_UNAVAILABLE'])
    other.disconnect()
    await shop.close()
  }).timeout(20_000)

  it('loads its data, that is reported with its own word, and over when it has', async () => {
    server = await RedisServer.start()
    const { shop, worker, told, schedule, messages } = await open()
    await shop.redis.client.eval("for i = 1, 40000 do redis.call('SET', 'fill:' .. i, i) end", 0)
    await shop.redis.client.save()
    const loaded = server.restart(['--key-load-delay', '100', '--loading-process-events-interval-bytes', '1024'])
    await waitUntil(() => /LOADING/.test(messages()[0] as string), { within: 4000, every: 5 })
    assert.equal(await schedule(), false)
    assert.match(messages()[1] as string, /LOADING/)
    await loaded
    await waitUntil(() => worker.health().status === 'ok' && shop.timers.health().status === 'ok', { within: 10_000 })
    const codes = new Set(told.map((note) => note.split(' ')[1]))
    codes.delete('REDIS_LOST_DATA')
    assert.deepEqual([...codes], ['REDIS_UNAVAILABLE'])
    assert.equal(await schedule(), true)
    await shop.close()
  }).timeout(40_000)

  it('answers and this process stood still, a web process reports no outage', async () => {
    server = await RedisServer.start()
    const proxy = await TcpProxy.start(server.port)
    const shop = await openShop(oneOfEach, { redisUrl: `redis://127.0.0.1:${proxy.port}` })
    const id = await shop.order({ status: 4 })
    await waitUntil(async () => (await shop.timers.schedule('order_confirm', id, { after: '1h' })).armed)
    const rule = Array.from({ length: 20 }, () => shop.timers.schedule('order_other', 7, { after: '1h' }).catch(() => {}))
    await new Promise((resolve) => setImmediate(resolve)) // the commands are on their way
    blockEventLoop(4000)
    await Promise.all(rule)
    const until = performance.now() + 3000
    while (performance.now() < until) {
      await shop.timers.schedule('order_confirm', id, { after: '1h' })
      assert.deepEqual(shop.timers.health().faults, [])
    }
    await shop.close()
    await proxy.stop()
  }).timeout(20_000)
})
