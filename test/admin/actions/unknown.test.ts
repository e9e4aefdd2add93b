// Acts on Redis that it refuses or does not answer: what is known is told, and what is not known is not called done or undone.

import assert from 'node:assert/strict'
import { releaseAct } from '../../../lib/admin/actions/release.js'
import { retryDead } from '../../../lib/admin/dead-letters.js'
import { transition } from '../../../lib/index.js'
import { Brake } from '../../../lib/rows/brake.js'
import { RedisServer } from '../../support/redis-server.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { waitUntil } from '../../support/waiting.js'
import { type ActingShop, openActingShop, SUPPORT } from './acting.js'

const CONFIRM = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' } as const

describe('an action that Redis does not confirm', () => {
  let server: RedisServer

  before(async () => {
    server = await RedisServer.start()
  })
  after(() => server.stop())

  const open = async (redis = server.url) => {
    const run = () => {
      throw new Error('no stock')
    }
    const shop = await openActingShop(({ Order }) => ({ order_confirm: transition(Order, { ...CONFIRM, attempts: 1, run }) }), {
      ...{ redis, redisUrl: server.url },
    })
    return shop as unknown as ActingShop<never>
  }
  /** A dead letter, with no worker any more. */
  const buried = async (shop: ActingShop<never>) => {
    const id = String(await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 60_000) }))
    const worker = await shop.worker({ fallback: false })
    await waitUntil(async () => (await shop.timers.dead()).length === 1)
    await worker.stop()
    return id
  }

  it('a letter that Redis does not drop is reported as still there, and can be discarded again', async () => {
    const shop = await open()
    const id = await buried(shop)
    await shop.redis.client.config('SET', 'min-replicas-to-write', '1')
    const refused = await shop.act('discard', [{ id }])
    await shop.redis.client.config('SET', 'min-replicas-to-write', '0')
    const [order] = refused.orders
    assert.deepEqual([refused.count, order?.outcome, await shop.deadlineOf(id)], [0, 'failed', null])
    assert.match(order?.why as string, /^order_confirm: order 1 is not tried again, but Redis did not drop its dead letter \(.*NOREPLICAS/)
    const again = await shop.act('discard', [{ id }])
    assert.deepEqual([again.count, again.orders[0]?.outcome, await shop.timers.dead()], [1, 'done', []])
    await shop.close()
  })

  it('a letter without an answer is not reported as unchanged', async () => {
    const proxy = await TcpProxy.start(server.port)
    const shop = await open(`redis://127.0.0.1:${proxy.port}`)
    const id = await buried(shop)
    const held = proxy.hold('["1"]', 'replies') // of the script, which names the ids as JSON
    const { retried, notDead } = await retryDead(shop.runtime, 'order_confirm', undefined, SUPPORT)
    held.release()
    assert.deepEqual([retried, notDead.map((one) => one.id)], [[], [id]])
    assert.match(notDead[0]?.why as string, /whether it was carried out is not known: look at the order again$/)
    const [entry] = await shop.recorded()
    assert.deepEqual([entry?.action, entry?.state, entry?.count], ['retry', 'failed', 0])
    await shop.close()
    await proxy.stop()
  })

  it('a rule that was stopped again since it was shown is not released', async () => {
    const shop = await openActingShop(({ Order }) => ({
      order_confirm: transition(Order, { ...CONFIRM, brake: { max: 1, per: '1h' } }),
    }))
    for (const sql of Brake.createSql('order_timers_brakes')) await shop.database.client.query(sql)
    const stop = (at: string) =>
      shop.database.client.query(
        `INSERT INTO order_timers_brakes (kind, since, settled, braked_at) VALUES ('order_confirm', now(), 1, '${at}')
ON CONFLICT (kind) DO UPDATE SET braked_at = excluded.braked_at`,
      )
    const [shown, later] = ['2027-03-14T09:26:53.589Z', '2027-03-14T09:36:53.5897Z']
    await stop(later)
    const refused = await releaseAct(shop.runtime, 'order_confirm', SUPPORT, { stoppedSince: Date.parse(shown) })
    assert.deepEqual([refused.wasStopped, refused.stoppedAgain], [false, new Date(later)])
    const released = await releaseAct(shop.runtime, 'order_confirm', SUPPORT, { stoppedSince: Date.parse(later) })
    assert.deepEqual([released.wasStopped, released.stoppedAgain], [true, null])
    const again = await releaseAct(shop.runtime, 'order_confirm', SUPPORT, { stoppedSince: Date.parse(later) })
    assert.deepEqual([again.wasStopped, again.stoppedAgain], [false, null])
    await shop.close()
  })
})
