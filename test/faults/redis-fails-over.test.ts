// A managed failover: the address leads to the demoted node for some seconds more, or one node is demoted and promoted again; connections stay
// open all the while. Whatever the worker concluded about a server is asked again.

import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import { RedisServer } from '../support/redis-server.js'
import { openShop, type Shop, type TestWorker } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { holdsFor, waitUntil } from '../support/waiting.js'

const BACK_WITHIN_MS = 2000

describe('After a failover', () => {
  let first: RedisServer
  let second: RedisServer
  let proxy: TcpProxy
  let direct: { first: Redis; second: Redis }
  let shop: Shop<OneOfEach>

  beforeEach(async () => {
    first = await RedisServer.start(['--repl-diskless-sync-delay', '0'])
    second = await RedisServer.start(['--replicaof', '127.0.0.1', String(first.port), '--repl-diskless-sync-delay', '0'])
    proxy = await TcpProxy.start(first.port)
    direct = { first: new Redis(first.url), second: new Redis(second.url) }
    await waitUntil(async () => (await direct.second.info('replication')).includes('master_link_status:up'), { within: 10_000 })
    shop = await openShop(oneOfEach, { redisUrl: `redis://127.0.0.1:${proxy.port}` })
  })
  afterEach(async () => {
    await shop.close()
    direct.first.disconnect()
    direct.second.disconnect()
    await proxy.stop()
    await Promise.all([first.stop(), second.stop()])
  })

  const start = async () => {
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events)
    // What the replica has not got by now is lost in truth, and would be told.
    await direct.first.set('t:written', '1')
    await direct.first.wait(1, 5000)
    return { worker, told: notes(worker) }
  }
  const demote = async () => {
    await direct.second.replicaof('NO', 'ONE')
    await direct.first.replicaof('127.0.0.1', second.port)
  }
  const isWell = async (worker: TestWorker) => {
    await waitUntil(() => worker.health().redis?.connected, { within: BACK_WITHIN_MS, what: 'the worker to be back' })
    await waitUntil(() => worker.health().status === 'ok', { within: BACK_WITHIN_MS })
    await waitUntil(() => worker.health().redis?.events, { within: 4000 }) // an event before that may go to the old subscription
    const [ours, theirs] = [await shop.order({ status: 4 }), await shop.order({ status: 2 })]
    const before = worker.settled.length
    await shop.timers.schedule('order_confirm', ours, { after: 50 })
    await shop.redis.client.set(shop.key(`order_ship:${theirs}`), '1', 'PX', 50)
    await waitUntil(() => worker.settled.length === before + 2)
    const found = new Map(worker.settled.slice(before).map(({ id, via }) => [id, via]))
    assert.notEqual(found.get(String(ours)), undefined) // by the alarm, or the sweep that catches up
    assert.equal(found.get(String(theirs)), 'event')
  }

  it('whose address leads to the demoted node for seconds, the worker is back within two of its being right', async () => {
    const { worker, told } = await start()
    await demote()
    await waitUntil(() => told.includes('fault REDIS_UNUSABLE'), { within: 3000 })
    await holdsFor(3000, () => worker.health().redis?.connected === false)
    proxy.lead(second.port)
    // The test's own client is on a connection that stays open, as the shop's would.
    shop.redis.client.disconnect(true)
    await isWell(worker)
    assert.deepEqual(told, ['fault REDIS_UNUSABLE', 'recovered REDIS_UNUSABLE'])
  }).timeout(20_000)

  it('and back, on connections that stay open, the worker is back within two seconds', async () => {
    const { worker, told } = await start()
    for (let times = 1; times <= 2; times += 1) {
      await demote()
      await waitUntil(() => worker.health().faults.some(({ code }) => code === 'REDIS_UNUSABLE'), { within: 3000 })
      await holdsFor(1500, () => worker.health().redis?.connected === false)
      await direct.first.replicaof('NO', 'ONE')
      await direct.second.replicaof('127.0.0.1', first.port)
      await isWell(worker)
    }
    const once = ['fault REDIS_UNUSABLE', 'recovered REDIS_UNUSABLE']
    assert.deepEqual(
      told.filter((note) => !note.includes('LOST_DATA')),
      [...once, ...once],
    )
  }).timeout(30_000)

  it('to a node with other settings, these are checked, and again when they are corrected', async () => {
    await direct.second.config('SET', 'maxmemory-policy', 'volatile-ttl')
    await direct.second.config('SET', 'notify-keyspace-events', '')
    const { worker } = await start()
    await demote()
    proxy.lead(second.port)
    shop.redis.client.disconnect(true)
    const codes = () => new Set(worker.health().faults.map(({ code }) => code))
    await waitUntil(() => codes().has('EVICTION') && codes().has('EVENTS_OFF') && !codes().has('REDIS_UNUSABLE'))
    assert.notEqual(worker.health().redis?.events, true)
    await direct.second.config('SET', 'maxmemory-policy', 'noeviction')
    await direct.second.config('SET', 'notify-keyspace-events', 'Ex')
    await waitUntil(() => worker.health().status === 'ok', { within: BACK_WITHIN_MS })
    await isWell(worker)
  }).timeout(20_000)

  it('a process without a worker arms on the node that is the primary now', async () => {
    const id = await shop.order({ status: 4 })
    assert.equal((await shop.timers.schedule('order_confirm', id, { after: 60_000 })).armed, true)
    await demote()
    assert.equal((await shop.timers.schedule('order_confirm', id, { after: 70_000 })).armed, false)
    proxy.lead(second.port)
    await waitUntil(async () => (await shop.timers.schedule('order_confirm', id, { after: 80_000 })).armed, { within: BACK_WITHIN_MS })
  })
})

function notes(worker: TestWorker): string[] {
  const told: string[] = []
  worker.on('fault', ({ code }) => told.push(`fault ${code}`))
  worker.on('recovered', ({ code }) => told.push(`recovered ${code}`))
  return told
}
