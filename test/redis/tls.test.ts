// Redis over TLS, and by a name: certificates that don't hold, a port without TLS, a name that is not found or leads elsewhere later. The
// name is looked up by a function of the test's own, which ioredis hands on to Node.

import assert from 'node:assert/strict'
import type { LookupFunction } from 'node:net'
import { confirmed, confirming, EVERY_SECOND, ship } from '../faults/confirming.js'
import { refused } from '../support/refused.js'
import { openShop } from '../support/shop.js'
import { EXPIRED, type Identity, TlsServer, VALID } from '../support/tls-server.js'
import { waitUntil } from '../support/waiting.js'

const redisPort = () => Number(new URL(process.env.REDIS_URL as string).port)

/** Answers as a resolver that knows redis.test under one address, or not at all, and counts how often it was asked. */
class Resolver {
  asked = 0
  knows = true

  readonly lookup: LookupFunction = (hostname, options, answer) => {
    this.asked += 1
    const failure = Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' })
    if (!this.knows) answer(failure, '', 0)
    else if (options.all) answer(null, [{ address: '127.0.0.1', family: 4 }])
    else answer(null, '127.0.0.1', 4)
  }
}

describe('Redis over TLS', () => {
  const open = (port: number, ca: Identity, { lookup } = new Resolver()) =>
    openShop(confirming(), { redis: { host: 'redis.test', port, tls: { ca: ca.cert, servername: 'redis.test', lookup } } })

  it('works', async () => {
    const server = await TlsServer.start(VALID, redisPort())
    const shop = await open(server.port, VALID)
    const worker = await shop.worker({ fallback: false })
    await ship(shop, 5, 200)
    await confirmed(shop, 5)
    assert.deepEqual(worker.faultsTold, [])
    await shop.close()
    await server.stop()
  })

  for (const [what, identity, ca, code, remedy] of [
    ['has expired', EXPIRED, EXPIRED, 'CERT_HAS_EXPIRED', "its certificate is not valid now: renew it, or set this host's clock right"],
    [
      'is of an unknown authority',
      VALID,
      EXPIRED,
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'its certificate is not trusted: give the authority that signed it as "ca" in "tls", or its file in NODE_EXTRA_CA_CERTS',
    ],
  ] as const) {
    it(`whose certificate ${what} is not connected to: the error says why, and the sweep carries on`, async () => {
      const server = await TlsServer.start(identity, redisPort())
      const shop = await open(server.port, ca)
      const { code: refusedWith, message } = await refused(() => shop.timers.check())
      assert.equal(refusedWith, 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE')
      assert.equal(message, `orderTimers: Redis at redis.test:${server.port} db 0 does not answer (${code}); ${remedy}`)
      const worker = await shop.worker({ fallback: EVERY_SECOND })
      await ship(shop, 5, 100)
      await confirmed(shop, 5)
      assert.deepEqual(
        worker.faultsTold.map((fault) => [fault.code, (fault.error as { code?: string }).code]),
        [['REDIS_UNAVAILABLE', code]],
      )
      await shop.close()
      await server.stop()
    })
  }

  it('on a port without TLS is refused, and nothing is sent in the clear', async () => {
    const shop = await open(redisPort(), VALID)
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const [id] = await ship(shop, 1, 100)
    await confirmed(shop, 1)
    await waitUntil(() => worker.faultsTold.some(({ code }) => code === 'REDIS_UNAVAILABLE'))
    assert.equal(await shop.redis.client.exists(shop.key(`order_confirm:${id}`)), 0)
    assert.equal(worker.health().redis?.connected, false)
    await shop.close()
  })

  it('under a name that does not resolve works once it does, since it is resolved for each connection', async () => {
    const server = await TlsServer.start(VALID, redisPort())
    const resolver = new Resolver()
    resolver.knows = false
    const shop = await open(server.port, VALID, resolver)
    const { message } = await refused(() => shop.timers.check())
    assert.match(message, /^orderTimers: Redis at .+:\d+ db 0 does not answer \(ENOTFOUND\); check that it runs and can be reached$/)
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    resolver.knows = true
    await waitUntil(() => worker.health().status === 'ok' && worker.health().redis?.subscribed)
    const before = resolver.asked
    server.cut()
    await waitUntil(() => resolver.asked >= before + 2 && worker.health().status === 'ok' && worker.health().redis?.subscribed)
    await ship(shop, 5, 200)
    await confirmed(shop, 5)
    await shop.close()
    await server.stop()
  })
})
