import assert from 'node:assert/strict'
import { portOf, withPort } from '../faults/own-worker.js'
import { scriptRequest } from '../faults/script-request.js'
import { armed } from '../support/armed.js'
import { openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { holdsFor, inTime } from '../support/waiting.js'

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
})
