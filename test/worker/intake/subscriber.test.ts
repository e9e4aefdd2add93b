import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { WorkerEvents } from '../../../lib/index.js'
import { openShop, type Shop, type TestWorker } from '../../support/shop.js'
import { type OneOfEach, oneOfEach } from '../../support/shop-rules.js'
import { waitForEvent, waitUntil } from '../../support/waiting.js'

const RIGHTS = ['+@read', '+@write', '+@scripting', '+@connection', '+@pubsub', '+time', '+info']

describe('a channel that is refused', () => {
  let shop: Shop<OneOfEach>
  let admin: Redis
  let name: string

  afterEach(async () => {
    await shop.close()
  })

  /** A shop whose timers connect as a user who may subscribe to these channels alone. */
  const open = async (db: number, channels: (prefix: string) => string[]): Promise<TestWorker> => {
    name = `u${randomBytes(4).toString('hex')}`
    const { hostname, port } = new URL(process.env.REDIS_URL as string)
    const redis = { host: hostname, port: Number(port), username: name, password: 'geheim', db }
    shop = await openShop(oneOfEach, { redis, redisUrl: `${process.env.REDIS_URL}/${db}` })
    admin = shop.redis.client
    const { prefix } = shop.redis
    await admin.acl(
      'SETUSER',
      name,
      'on',
      '>geheim',
      `~${prefix}*`,
      'resetchannels',
      ...channels(prefix).map((one) => `&${one}`),
      ...RIGHTS,
    )
    return shop.worker({ fallback: false })
  }

  const subscriptions = async () =>
    ((await admin.pubsub('CHANNELS', '*')) as string[]).filter((one) => one.includes(shop.redis.prefix) || one.includes('@'))

  for (const db of [0, 1]) {
    const expired = `__keyevent@${db}__:expired`
    const wake = (prefix: string) => `${prefix}order-timers:wake`
    const cases: [title: string, allowed: (prefix: string) => string[], refused: (prefix: string) => string[]][] = [
      ['that of expiry events', (prefix) => [wake(prefix)], () => [expired]],
      ['that of wakes', () => [expired], (prefix) => [wake(prefix)]],
      ['both', () => [], (prefix) => [expired, wake(prefix)]],
    ]
    for (const [title, allowed, refused] of cases) {
      it(`(${title}, db ${db}) is named with its ACL line, costs not the other, and is over when it is allowed`, async () => {
        const worker = await open(db, allowed)
        const { prefix } = shop.redis
        const { port } = new URL(process.env.REDIS_URL as string)
        await waitUntil(() => worker.faultsTold.length === refused(prefix).length)
        assert.deepEqual(
          worker.faultsTold.map(({ code, channel, remedy }) => [code, channel, remedy]),
          refused(prefix).map((channel) => ['SUBSCRIBE_REFUSED', channel, `allow this user the channel (ACL SETUSER … &${channel})`]),
        )
        for (const { message, channel } of worker.faultsTold)
          assert.ok(message.startsWith(`Redis at 127.0.0.1:${port} db ${db} refuses to subscribe to ${channel}; `), message)
        assert.equal(JSON.stringify(worker.health()).includes('geheim'), false)

        // What still works: timers always, events where they are subscribed to, wakes where they are.
        const ours = await shop.order({ status: 4 })
        await shop.timers.schedule('order_confirm', ours, { after: 50 })
        await waitUntil(async () => (await shop.statusOf(ours)) === 5)
        assert.deepEqual((await subscriptions()).filter((one) => [expired, wake(prefix)].includes(one)).sort(), allowed(prefix).sort())
        assert.equal(worker.health().redis?.subscribed, allowed(prefix).includes(expired))
        if (allowed(prefix).includes(expired)) {
          await waitUntil(() => worker.health().redis?.events)
          const theirs = await shop.order({ status: 2 })
          await admin.set(shop.key(`order_ship:${theirs}`), '1', 'PX', 50)
          await waitUntil(() => worker.settled.some(({ id, via }) => id === String(theirs) && via === 'event'))
        }

        const over = refused(prefix).map((channel) =>
          waitForEvent<WorkerEvents['recovered']>(worker, 'recovered', { where: (one) => one.channel === channel }),
        )
        await admin.acl('SETUSER', name, ...refused(prefix).map((one) => `&${one}`))
        await Promise.all(over)
        assert.deepEqual(worker.health().faults, [])
        await admin.acl('DELUSER', name)
      })
    }
  }
})
