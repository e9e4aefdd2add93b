import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { LAYOUT, VERSION } from '../../lib/version.js'
import { refused } from '../support/refused.js'
import { openShop, type Shop } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

describe('the layout of what is in Redis', () => {
  let shop: Shop<OneOfEach>

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
  })

  afterEach(() => shop.close())

  const key = () => shop.key('order-timers:layout')
  const noted = () => shop.redis.client.hmget(key(), 'layout', 'version')
  const note = (layout: number, version: string) => shop.redis.client.hset(key(), { layout, version })

  it('is noted by a worker, with the version of package.json', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    assert.equal(VERSION, version)
    await shop.worker()
    await waitUntil(async () => (await noted())[0] !== null)
    assert.deepEqual(await noted(), [String(LAYOUT), VERSION])
  })

  it('is raised by a later version, and stays as it is for an earlier one', async () => {
    await note(LAYOUT - 1, '0.0.9')
    await shop.worker()
    await waitUntil(async () => (await noted())[1] === VERSION)
    assert.deepEqual(await noted(), [String(LAYOUT), VERSION])
  })

  it('of a later version is left alone, by name; the sweep settles, and Redis is used again when that version is gone', async () => {
    await note(LAYOUT + 1, '9.8.7')
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const { code, message } = await waitUntil(() => worker.faultsTold[0])
    assert.equal(code, 'REDIS_UNUSABLE')
    assert.match(
      message,
      /cannot serve: its timers were written by express-order-timers 9\.8\.7 in layout 2, and this is \S+, which understands layout 1/,
    )
    assert.match(message, /; run that version or a later one here too, or give this one a "prefix" of its own$/)
    assert.equal((await refused(() => shop.timers.check())).code, 'ERR_ORDER_TIMERS_REDIS_UNUSABLE')

    const id = await shop.order({ status: 4 })
    assert.equal((await shop.timers.schedule('order_confirm', id, { after: 100 })).armed, false)
    assert.equal((await refused(() => shop.timers.schedule('order_other', 7, { after: '1h' }))).code, 'ERR_ORDER_TIMERS_REDIS_UNUSABLE')
    await waitUntil(() => worker.settled.length === 1)
    assert.equal(worker.settled[0]?.via, 'sweep')
    assert.deepEqual(await shop.redis.client.keys(shop.key('*')), [key()])

    await shop.redis.client.del(key())
    await waitUntil(() => worker.health().faults.length === 0, { within: 15_000 })
    const later = await shop.order({ status: 4 })
    assert.equal((await shop.timers.schedule('order_confirm', later, { after: 100 })).armed, true)
    await waitUntil(async () => (await shop.statusOf(later)) === 5)
  })
})
