import assert from 'node:assert/strict'
import { blocksOf } from '../support/book.js'
import { RedisServer } from '../support/redis-server.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

const lines = blocksOf('docs/redis.md')
  .filter(({ language }) => language === 'acl')
  .flatMap(({ text }) => text.split('\n'))
  .filter((line) => line.startsWith('ACL'))

describe('a Redis user with exactly the rights in docs/redis.md', () => {
  const forms: [title: string, line: number, db: number, prefix: string, keyPrefix?: string][] = [
    ['no prefix, db 0', 0, 0, ''],
    ['a prefix, db 1', 1, 1, 'shop:'],
    ['a keyPrefix, db 1', 1, 1, '', 'shop:'],
    ['a keyPrefix and a prefix, db 1', 1, 1, 'eu:', 'shop:'],
  ]
  for (const [title, index, db, prefix, keyPrefix = ''] of forms) {
    it(`(${title}) may do all that timers and a worker do, and is refused nothing`, async () => {
      assert.equal(lines.length, 2)
      const server = await RedisServer.start()
      const url = `redis://shop:geheim@127.0.0.1:${server.port}/${db}${keyPrefix && `?keyPrefix=${keyPrefix}`}`
      const shop = await openShop(oneOfEach, { redis: url, prefix, redisUrl: `${server.url}/${db}` })
      const admin = shop.redis.client
      const names = `${keyPrefix}${prefix}`
      const line = (lines[index] as string).replace('>SECRET', '>geheim').replace('shop:order-timers:wake', `${names}order-timers:wake`)
      await admin.call(...(line.split(' ') as [string, ...string[]]))

      await shop.timers.check()
      const worker: TestWorker = await shop.worker({ fallback: '* * * * * *' })
      const [ours, theirs, swept] = [await shop.order({ status: 4 }), await shop.order({ status: 2 }), await shop.order({ status: 4 })]
      assert.equal((await shop.timers.schedule('order_confirm', ours, { after: 100 })).armed, true)
      await admin.set(`${names}order_ship:${theirs}`, '1', 'PX', 100)
      await shop.database.Order.update({ confirmDueAt: new Date(Date.now() - 1_000) }, { where: { id: swept } })
      await waitUntil(() => worker.settled.length >= 3)
      assert.deepEqual(worker.settled.map(({ id }) => id).sort(), [ours, theirs, swept].map(String).sort())
      await shop.timers.schedule('order_other', 7, { after: '1h' })
      await shop.timers.extend('order_other', 7, '1h')
      assert.ok(((await shop.timers.remaining('order_other', 7)) as number) > 3_600_000)
      await shop.timers.cancel('order_other', 7)
      assert.deepEqual(await shop.timers.dead(), [])
      await waitUntil(() => worker.health().redis?.events)
      await waitUntil(() => (worker.health().redis?.externalScans ?? 0) > 0)
      assert.deepEqual([worker.faultsTold, shop.timers.health().faults], [[], []])
      await worker.stop()
      const refusals = ((await admin.call('ACL', 'LOG')) as string[][]).map((entry) => entry[entry.indexOf('object') + 1])
      assert.deepEqual(
        refusals.filter((command) => command !== 'config|get'),
        [],
      )
      await shop.close()
      await server.stop()
    })
  }
})
