import assert from 'node:assert/strict'
import type { RuntimeRedis } from '../../lib/timers/runtime.js'
import { portOf, withPort } from '../faults/own-worker.js'
import { scriptRequest } from '../faults/script-request.js'
import { armed } from '../support/armed.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
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
})
