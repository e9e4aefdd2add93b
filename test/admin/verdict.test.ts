import assert from 'node:assert/strict'
import { bundleOf } from '../../lib/admin/doctor/bundle.js'
import { doctor } from '../../lib/admin/doctor/doctor.js'
import { status } from '../../lib/admin/status.js'
import { transition } from '../../lib/index.js'
import { ProcessesTable } from '../../lib/rows/processes-table.js'
import { freePort } from '../support/free-port.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, openShop, type ShopOptions } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

describe('what status and the doctor conclude', () => {
  const open = async ({ dryRun = false, ...options }: ShopOptions & { dryRun?: boolean } = {}) => {
    const shop = await openShop(
      ({ Order }) => ({ order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', dryRun }) }),
      options,
    )
    const runtime = runtimeOf(shop.timers)
    const overdue = (count: number, byMs = MINUTE_MS) =>
      shop.database.Order.bulkCreate(Array.from({ length: count }, () => ({ status: 4, confirmDueAt: new Date(Date.now() - byMs) })))
    const found = async (name: string) => (await doctor(runtime)).findings.filter((one) => one.name === name)
    return { shop, runtime, overdue, found }
  }

  it('counts no dead letter into a backlog the second time', async () => {
    const { shop, runtime, overdue } = await open()
    await overdue(550)
    const { failures } = runtime.keys.sets('order_confirm')
    const failure = JSON.stringify({ attempts: 25, error: 'no stock', at: new Date().toISOString(), dead: true })
    const ids = Array.from({ length: 300 }, (_, i) => String(i + 1))
    await shop.redis.client.hset(failures, Object.fromEntries(ids.map((id) => [id, failure])))
    await shop.redis.client.zadd(`${failures}:dead`, ...ids.flatMap((id, i) => [i, id]))
    const { backlog, rules } = await status(runtime)
    assert.deepEqual([rules[0]?.rows?.overdue, rules[0]?.dead], [250, 300])
    assert.deepEqual([backlog?.overdue, backlog?.perSecond], [250, 0])
    await shop.close()
  })

  it('finds nothing wrong with what is overdue under dryRun, and no backlog', async () => {
    const { shop, runtime, overdue, found } = await open({ dryRun: true })
    await overdue(250)
    const { backlog, rules } = await status(runtime)
    assert.deepEqual([rules[0]?.rows?.overdue, backlog], [250, undefined])
    assert.deepEqual(
      (await found('orders.overdue')).map(({ verdict }) => verdict),
      ['fine'],
    )
    await shop.close()
  })

  it('names the rule in the command that settles what is stale, which would settle that of all rules', async () => {
    const { shop, runtime, overdue, found } = await open()
    await overdue(1, 8 * DAY_MS)
    const [stale] = await found('orders.stale')
    assert.equal(stale?.remedies.at(-1)?.text, 'npx order-timers sweep --stale --kind order_confirm --yes')
    const { troubles } = await status(runtime)
    assert.match(troubles.find(({ code }) => code === 'STALE')?.remedy ?? '', /^order-timers sweep --stale --kind order_confirm shows/)
    await shop.close()
  })

  it('does not count workers that it cannot know, and says where failures are without Redis', async () => {
    const { shop, runtime, overdue } = await open({ redis: false })
    assert.equal((await status(runtime)).headline, '✔ ALL IS WELL: whether a worker is alive is not known, 0 timers pending, 0 overdue')
    await overdue(1)
    assert.match(
      (await status(runtime)).headline,
      /^[✘!] OVERDUE: .*; on which orders the rule failed is only in the logs of the workers →/,
    )
    await shop.close()
  })

  it('knows nothing of workers if Redis is away and none has a row', async () => {
    const { shop, found } = await open({ redis: `redis://127.0.0.1:${await freePort()}` })
    for (const sql of ProcessesTable.createSql('order_timers_processes')) await shop.database.client.query(sql)
    const [alive] = await found('processes.alive')
    assert.equal(alive?.verdict, 'unseen')
    assert.match(alive?.found ?? '', /^Postgres has no row of a worker, and Redis could not be read \(/)
    await shop.close()
  })

  it("compares a process's clock with that of the server that it has read", async () => {
    const shop = await openShop(() => ({ order_other: () => {} }))
    const runtime = runtimeOf(shop.timers)
    const record = {
      ...{ id: 'worker-1', host: 'worker-1', pid: 7, version: '1.0.0', startedAt: Date.now(), role: 'worker' },
      ...{ redis: '127.0.0.1:6379 db 0', rules: { order_other: 'x' }, databases: [] },
    }
    await waitUntil(async () => (await status(runtime)).redis.answering)
    await shop.redis.client.hset(runtime.keys.processes, 'worker-1', `${Date.now()} ${Date.now() + 30_000} ${JSON.stringify(record)}`)
    const { troubles } = await status(runtime)
    assert.deepEqual(
      troubles.filter(({ code }) => code === 'CLOCK_SKEW').map(({ message }) => message),
      ["the clock of worker-1:7 is 30.0 s ahead of Redis's; Postgres's was not read"],
    )
    await shop.close()
  })

  it("looks for locks on the orders' table of each database", async () => {
    const [one, two] = await Promise.all([open(), open()])
    const rule = (Order: typeof one.shop.database.Order) => transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })
    const { redis, database } = one.shop
    const rules = { order_confirm: rule(database.Order), order_return: rule(two.shop.database.Order) }
    const timers = makeTimers(rules, { redis: redis.url, prefix: redis.prefix })
    const locks = (await doctor(runtimeOf(timers))).findings.filter(({ name }) => name === 'locks.table')
    assert.equal(locks.length, 2)
    await timers.close()
    await Promise.all([one.shop.close(), two.shop.close()])
  })

  it('names no other Redis in a bundle for a bug report', async () => {
    const { shop, runtime } = await open()
    const record = {
      ...{ id: 'web-1', host: 'web-1', pid: 7, version: '1.0.0', startedAt: Date.now(), role: 'worker' },
      ...{ redis: 'redis-b.internal:6379 db 0', rules: {}, databases: [] },
    }
    await shop.redis.client.hset(runtime.keys.processes, 'web-1', `${Date.now()} ${Date.now()} ${JSON.stringify(record)}`)
    const about = { name: 'processes.other-redis', verdict: 'wrong' as const, expected: '', remedies: [] }
    const found = 'the worker web-1 uses another one, at redis-b.internal:6379 db 0: the sweep alone settles'
    const diagnosis = { ok: false, counts: { fine: 0, wrong: 1, advice: 0, unseen: 0 }, findings: [{ ...about, found }] }
    const { findings } = await bundleOf(runtime, diagnosis)
    assert.match(findings[0]?.found ?? '', /^the worker HOST-\d uses another one, at OTHER-REDIS: the sweep alone settles$/)
    await shop.close()
  })
})
