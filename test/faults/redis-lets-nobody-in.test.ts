// Redis answers and lets this process in no more, or not with its rights, while it runs. Workers and web processes give the same code for the
// same reason, and come back by themselves when their rights return.

import assert from 'node:assert/strict'
import { RedisServer } from '../support/redis-server.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { holdsFor, waitUntil } from '../support/waiting.js'

type Acl = (...rules: string[]) => Promise<unknown>

interface Reason {
  title: string
  begin(acl: Acl, leave: () => Promise<unknown>): Promise<unknown>
  end(acl: Acl, leave: () => Promise<unknown>): Promise<unknown>
  says: RegExp
}

const RIGHTS = ['on', '>geheim', '~*', '&*', '+@all']

const REASONS: Reason[] = [
  {
    title: 'another password',
    begin: async (acl, leave) => {
      await acl('resetpass', '>neues')
      await leave()
    },
    end: (acl) => acl('>geheim'),
    says: /WRONGPASS.*; give the right user and password in "redis"/,
  },
  {
    title: 'its user switched off',
    begin: async (acl, leave) => {
      await acl('off')
      await leave()
    },
    end: (acl) => acl('on'),
    says: /WRONGPASS.*; give the right user and password in "redis"/,
  },
  {
    title: 'its rights narrowed to reading',
    begin: (acl) => acl('-@write', '-@scripting'),
    end: (acl) => acl('+@all'),
    says: /NOPERM.*; allow this user .+; docs\/redis\.md lists all rights that it needs/,
  },
  {
    title: 'no rights on its keys',
    begin: (acl) => acl('resetkeys', '~other:*'),
    end: (acl) => acl('~*'),
    says: /(NOPERM|no permissions|executing the script can't|ACL failure).*; allow this user .+; docs\/redis\.md lists all rights that it needs/,
  },
]

describe('A process that Redis gives', () => {
  let server: RedisServer

  beforeEach(async () => {
    server = await RedisServer.start()
  })
  afterEach(() => server.stop())

  const open = async () => {
    const user = { port: server.port, username: 'shop', password: 'geheim' }
    const admin = await openShop(oneOfEach, { redisUrl: server.url })
    const acl: Acl = (...rules) => admin.redis.client.acl('SETUSER', 'shop', ...rules)
    await acl(...RIGHTS)
    const shop = await openShop(oneOfEach, { redisUrl: server.url, redis: user })
    const close = async () => {
      await shop.close()
      await admin.close()
    }
    return { acl, shop, leave: () => admin.redis.client.client('KILL', 'USER', 'shop'), close }
  }
  type Opened = Awaited<ReturnType<typeof open>>['shop']
  const schedule = async (shop: Opened) =>
    (await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }), { after: '1h' })).armed

  for (const { title, begin, end, says } of REASONS) {
    it(`${title}, as a worker says REDIS_REFUSES once and recovers once`, async () => {
      const { acl, shop, leave, close } = await open()
      const worker = await shop.worker({ fallback: false })
      await waitUntil(() => worker.health().redis?.events)
      const told = notes(worker)
      await begin(acl, leave)
      await waitUntil(() => told.includes('fault REDIS_REFUSES'), { within: 3000 })
      await holdsFor(2000, () => worker.health().faults.some(({ code }) => code === 'REDIS_REFUSES'))
      assert.match(worker.health().faults[0]?.message ?? '', says)
      assert.doesNotMatch(JSON.stringify(worker.health()), /geheim|neues/)
      await end(acl, leave)
      await waitUntil(() => worker.health().status === 'ok' && worker.health().redis?.events, { within: 8000 })
      // Where the connection was cut, that may have been told as well, until the next attempt said why.
      assert.deepEqual(
        told.filter((note) => note.endsWith('REFUSES')),
        ['fault REDIS_REFUSES', 'recovered REDIS_REFUSES'],
      )
      assert.ok(told.length <= 4, told.join())
      await close()
    }).timeout(20_000)

    it(`${title}, as a web process says REDIS_REFUSES in health and by calls, and arms what was kept afterwards`, async () => {
      const { acl, shop, leave, close } = await open()
      assert.equal(await schedule(shop), true)
      await begin(acl, leave)
      await waitUntil(async () => !(await schedule(shop)))
      await waitUntil(() => shop.timers.health().faults.some(({ code }) => code === 'REDIS_REFUSES'), { within: 3000 })
      await holdsFor(
        2000,
        () =>
          shop.timers
            .health()
            .faults.map(({ code }) => code)
            .join() === 'REDIS_REFUSES',
      )
      assert.match(shop.timers.health().faults[0]?.message ?? '', says)
      const call = await shop.timers.schedule('order_other', 7, { after: '1h' }).catch((error) => error)
      assert.equal(call.code, 'ERR_ORDER_TIMERS_REDIS_REFUSES')
      await end(acl, leave)
      await waitUntil(() => shop.timers.health().status === 'ok' && shop.timers.health().redis?.kept === 0, { within: 8000 })
      assert.equal(await schedule(shop), true)
      await close()
    }).timeout(20_000)
  }

  it('no connection, and then another password, has the code of the present problem', async () => {
    const { shop, close } = await open()
    const worker = await shop.worker({ fallback: false })
    const codes = () => [worker.health(), shop.timers.health()].map(({ faults }) => faults.map(({ code }) => code).join())
    await server.kill()
    await waitUntil(async () => !(await schedule(shop)))
    await waitUntil(() => codes().join(' ') === 'REDIS_UNAVAILABLE REDIS_UNAVAILABLE')
    await server.restart() // without the user
    await waitUntil(() => codes().join(' ') === 'REDIS_REFUSES REDIS_REFUSES')
    await server.kill()
    await waitUntil(() => codes().join(' ') === 'REDIS_UNAVAILABLE REDIS_UNAVAILABLE')
    await server.restart(['--user', 'shop', ...RIGHTS])
    await waitUntil(() => codes().join(' ') === ' ')
    await close()
  }).timeout(20_000)
})

function notes(worker: TestWorker): string[] {
  const told: string[] = []
  worker.on('fault', ({ code }) => told.push(`fault ${code}`))
  worker.on('recovered', ({ code }) => told.push(`recovered ${code}`))
  return told
}
