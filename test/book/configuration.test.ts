// The book's configuration, loaded by what reads it: SQL by Postgres, redis.conf by Redis.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { orderTimers, startExpiryWorker, transition } from '../../lib/index.js'
import { type Block, blocks, fileOf } from '../support/book.js'
import { openDatabase } from '../support/database.js'
import { RedisServer } from '../support/redis-server.js'
import { waitUntil } from '../support/waiting.js'

const where = ({ page, line }: Block) => `${page}:${line}`
const inLanguage = (language: string) => blocks.filter((block) => block.language === language)

describe("the book's configuration", () => {
  it('has SQL that Postgres carries out over a table of orders', async () => {
    const role = `t_${randomBytes(6).toString('hex')}`
    const database = await openDatabase()
    await database.client.query(`CREATE ROLE ${role}`)
    for (const block of inLanguage('sql')) {
      if (fileOf(block) === 'grants.sql') continue // test/operations/rights.test.ts works with these
      const statements = block.text.split(/;\n/).filter((sql) => sql.trim() !== '')
      for (const sql of statements) await database.client.query(sql).catch((error) => assert.fail(`${where(block)}: ${error.message}`))
    }
    await database.client.query(`DROP ROLE ${role}`)
    await database.close()
  })

  it('has one redis.conf, with which timers and keys of other services are settled', async () => {
    const [conf, ...others] = inLanguage('conf')
    for (const other of others) assert.equal(other.text, conf?.text, where(other))
    const settings = (conf as Block).text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    const server = await RedisServer.start(
      settings.flatMap((line) => line.replace(' ', '\n').split('\n')).map((word, i) => (i % 2 ? word : `--${word}`)),
    )
    const client = new Redis(server.url)
    const database = await openDatabase()
    const timers = orderTimers({
      logger: false,
      redis: server.url,
      rules: {
        order_confirm: transition(database.Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '100ms' }),
        order_pay: transition(database.Order, { from: 1, to: 0, since: 'createdAt', after: '100ms' }),
      },
    })
    const worker = startExpiryWorker(timers, { fallback: false })
    await worker.ready
    const shipped = await database.Order.create({ status: 4 })
    assert.equal((await timers.schedule('order_confirm', shipped)).armed, true)
    const placed = await database.Order.create({ status: 1 })
    await client.setex(`order_pay:${placed.id}`, 1, '1')
    await waitUntil(async () => (await database.Order.count({ where: { status: [5, 0] } })) === 2)
    await waitUntil(() => worker.health().redis?.events === true)
    assert.deepEqual(worker.health().faults, [])
    await worker.stop()
    await timers.close()
    client.disconnect()
    await database.close()
    await server.stop()
  })
})
