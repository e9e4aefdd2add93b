import assert from 'node:assert/strict'
import { releaseBrake } from '../../lib/admin/release.js'
import { transition } from '../../lib/index.js'
import { Brake } from '../../lib/rows/brake.js'
import { RedisServer } from '../support/redis-server.js'
import { refusal, refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'

const CONFIRM = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' } as const

describe('releasing a brake', () => {
  /** A shop whose rule its brake has stopped after one order of two, with a worker that sweeps by itself in years. */
  const stopped = async (options: object = {}) => {
    const shop = await openShop(
      ({ Order }) => ({ order_confirm: transition(Order, { ...CONFIRM, brake: { max: 1, per: '1h' } }) }),
      options,
    )
    for (const sql of Brake.createSql('order_timers_brakes')) await shop.database.client.query(sql)
    const due = new Date(Date.now() - 60_000)
    await shop.database.Order.bulkCreate([
      { status: 4, confirmDueAt: due },
      { status: 4, confirmDueAt: due },
    ])
    const worker = await shop.worker({ fallback: '0 0 1 1 *' })
    await waitUntil(() => worker.faultsTold.some(({ code }) => code === 'BRAKED'))
    await waitUntil(() => worker.settled.length === 1)
    return { shop, worker, runtime: runtimeOf(shop.timers) }
  }

  const ways = {
    'by timers.release()': async ({ shop }: Awaited<ReturnType<typeof stopped>>) =>
      assert.equal(await shop.timers.release('order_confirm'), true),
    'by hand': async ({ runtime }: Awaited<ReturnType<typeof stopped>>) => {
      const { wasStopped, workersAsked, next } = await releaseBrake(runtime, 'order_confirm')
      assert.deepEqual(
        { wasStopped, workersAsked, next },
        { wasStopped: true, workersAsked: 1, next: 'the workers settle now what was held' },
      )
    },
  }
  for (const [way, release] of Object.entries(ways)) {
    it(`makes the workers settle at once what was held, ${way}`, async () => {
      const all = await stopped()
      const settled = waitForEvent(all.worker, 'settled')
      await release(all)
      await settled
      assert.deepEqual([await all.shop.statusOf(1), await all.shop.statusOf(2)], [5, 5])
      await all.shop.close()
    })
  }

  it('says that the next sweep settles it if no worker runs, or Redis is down or not used', async () => {
    const server = await RedisServer.start()
    const { shop, worker, runtime } = await stopped({ redis: server.url })
    await worker.stop()
    const brake = () => shop.database.client.query("UPDATE order_timers_brakes SET braked_at = now() WHERE kind = 'order_confirm'")
    assert.match((await releaseBrake(runtime, 'order_confirm')).next, /^no worker received it; the next sweep of a worker settles/)
    await brake()
    await server.stop()
    assert.match(
      (await releaseBrake(runtime, 'order_confirm')).next,
      /^Redis did not pass it on to the workers \(.*Redis .* does not answer.*\); their next sweep settles what was held$/,
    )
    await brake()
    assert.equal(await shop.timers.release('order_confirm'), true)
    await shop.close()

    const without = await stopped({ redis: false })
    assert.match((await releaseBrake(without.runtime, 'order_confirm')).next, /^the next sweep of a worker settles/)
    await without.shop.close()
  })

  it('is refused for a rule that has none', async () => {
    const shop = await openShop(({ Order }) => ({ order_confirm: transition(Order, CONFIRM) }), { redis: false })
    const message =
      'orderTimers: rule "order_confirm" has no "brake" to release; if a brake is to stop it, give it one, such as brake: { max: 1000, per: "1h" }'
    assert.deepEqual(await refused(() => releaseBrake(runtimeOf(shop.timers), 'order_confirm')), refusal('INVALID_OPTION', 500, message))
    await shop.close()
  })
})
