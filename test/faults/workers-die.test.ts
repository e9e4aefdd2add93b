// Workers that are killed with SIGKILL between two steps of their work: a proxy holds the request with which the next step begins, and the
// worker dies there. The next worker takes over when the lease ends; nothing is done twice.

import assert from 'node:assert/strict'
import { openShop } from '../support/shop.js'
import { inTime, waitUntil } from '../support/waiting.js'
import { launchWorkerProcess, startWorkerProcess } from '../support/worker-process.js'
import { confirmed, confirming, countIn, ship, shipUnarmed } from './confirming.js'
import { closeProxies, createEffects, effectsWereOnce, openProxies, workerConfig } from './own-worker.js'
import { makeRules } from './redis-only-rules.js'
import { scriptRequest } from './script-request.js'

describe('A worker that dies', () => {
  for (const { step, server, request } of [
    { step: 'before it claims', server: 'redis', request: scriptRequest('orderTimersClaim') },
    { step: 'between the claim and the update', server: 'postgres', request: 'SKIP LOCKED' },
    { step: 'between the update and the commit', server: 'postgres', request: 'COMMIT' },
    { step: 'between the commit and the end of its claim', server: 'redis', request: scriptRequest('orderTimersFinish') },
  ] as const) {
    it(`${step} loses nothing, and nothing is done twice`, async () => {
      const shop = await openShop(confirming())
      await createEffects(shop)
      const proxies = await openProxies(shop)
      const dying = await startWorkerProcess({ ...workerConfig(shop, 'worker 1', proxies), fallback: false })
      const survivor = await startWorkerProcess(workerConfig(shop, 'worker 2'))
      survivor.pause()
      const point = proxies[server].hold(request)
      await ship(shop, 30, 300)
      await inTime(point.seen, 15_000, `the worker to come to "${request}"`)
      await dying.kill()
      survivor.resume()
      await confirmed(shop, 30, 10_000)
      await effectsWereOnce(shop, 30)
      assert.equal(await survivor.stop(), 0)
      await closeProxies(proxies)
      await shop.close()
    }).timeout(40_000)
  }

  it('while another one runs, its orders are settled within four seconds, without a sweep', async () => {
    const shop = await openShop(confirming())
    await createEffects(shop)
    const proxies = await openProxies(shop)
    const config = { fallback: false, leaseMs: undefined } as const
    const dying = await startWorkerProcess({ ...workerConfig(shop, 'worker 1', proxies), ...config })
    const point = proxies.postgres.hold('SKIP LOCKED')
    await ship(shop, 30, 300)
    await inTime(point.seen, 15_000, 'the worker to claim')
    const survivor = await startWorkerProcess({ ...workerConfig(shop, 'worker 2'), ...config })
    await dying.kill()
    const killedAt = performance.now()
    await confirmed(shop, 30, 10_000)
    const seconds = (performance.now() - killedAt) / 1000
    assert.ok(seconds < 4, `it took ${seconds} s`)
    await effectsWereOnce(shop, 30)
    assert.equal(await survivor.stop(), 0)
    await closeProxies(proxies)
    await shop.close()
  }).timeout(40_000)

  for (const { between, request } of [
    { between: 'the claim and the update', request: 'SKIP LOCKED' },
    { between: 'the update and the commit', request: 'COMMIT' },
  ] as const) {
    it(`between ${between} leaves timers that are only in Redis to the next one`, async () => {
      const shop = await openShop(({ Order }) => makeRules(Order))
      const rules = new URL('./redis-only-rules.ts', import.meta.url).href
      const proxies = await openProxies(shop)
      const dying = await startWorkerProcess({ ...workerConfig(shop, 'worker 1', proxies), rules })
      const point = proxies.postgres.hold(request)
      const orders = await shop.database.Order.bulkCreate(Array.from({ length: 30 }, () => ({ status: 4 })))
      // These timers are in Redis alone: on a busy machine the first call may not get a connection in time.
      const schedule = () => Promise.all(orders.map((order) => shop.timers.schedule('order_confirm', order, { after: 300 })))
      await waitUntil(schedule, { what: 'Redis to take the timers' })
      await inTime(point.seen, 15_000, `the worker to come to "${request}"`)
      await dying.kill()
      const survivor = await startWorkerProcess({ ...workerConfig(shop, 'worker 2'), rules })
      await waitUntil(async () => (await countIn(shop.database, 5)) === 30, { what: '30 orders to be confirmed' })
      assert.deepEqual(await shop.database.ledger.twice(), [])
      assert.equal(await survivor.stop(), 0)
      await closeProxies(proxies)
      await shop.close()
    }).timeout(40_000)
  }

  it('in the middle of a sweep leaves the rest to the next one', async () => {
    const shop = await openShop(confirming())
    await createEffects(shop)
    await shipUnarmed(shop.database, 450, -60_000)
    const proxies = await openProxies(shop)
    const first = proxies.postgres.hold('INSERT INTO effects')
    const dying = launchWorkerProcess(workerConfig(shop, 'worker 1', proxies))
    await inTime(first.seen, 15_000, 'the sweep to come to its first batch')
    const second = proxies.postgres.hold('INSERT INTO effects')
    first.release()
    await inTime(second.seen, 15_000, 'the sweep to come to a later batch')
    await dying.kill()
    const survivor = await startWorkerProcess(workerConfig(shop, 'worker 2'))
    await confirmed(shop, 450, 10_000)
    await effectsWereOnce(shop, 450)
    assert.equal(await survivor.stop(), 0)
    await closeProxies(proxies)
    await shop.close()
  }).timeout(40_000)
})
