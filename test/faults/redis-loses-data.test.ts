// Redis loses its data while the connection stays, or with it: noticed within a second by what is missing, told, and armed again at once, so
// that what comes due soon is on time and no sweep is waited for.

import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { transition } from '../../lib/index.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import type { WorkerEvents } from '../../lib/worker/events.js'
import type { Database } from '../support/database.js'
import { Lines } from '../support/lines.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { holdsFor, waitForEvent, waitUntil } from '../support/waiting.js'
import { confirmed, confirming, ship, wereNotLate } from './confirming.js'
import { portOf, withPort } from './own-worker.js'

/** When the worker has seen each index, it knows what it looks like. */
const seen = (worker: TestWorker) => waitUntil(() => worker.health().redis?.events, { what: 'the worker to be at work' })

describe('When Redis loses its data,', () => {
  let redis: RedisServer

  beforeEach(async () => {
    redis = await RedisServer.start()
  })
  afterEach(() => redis.stop())

  const open = async () => {
    const lines = new Lines()
    const shop = await openShop(confirming(), { redisUrl: redis.url, logger: lines })
    return { shop, lines, call: (command: string, ...args: string[]) => shop.redis.client.call(command, ...args) }
  }
  type Opened = Awaited<ReturnType<typeof open>>

  const LOSSES: [title: string, lose: (opened: Opened) => Promise<unknown>][] = [
    ['by FLUSHALL', ({ call }) => call('FLUSHALL')],
    ['by FLUSHDB ASYNC', ({ call }) => call('FLUSHDB', 'ASYNC')],
    ['the index of one kind deleted', ({ call, shop }) => call('DEL', shop.key('order-timers:{order_confirm}:due'))],
    [
      'all keys of the prefix deleted',
      async ({ shop }) => shop.redis.client.unlink(...(await shop.redis.client.keys(`${shop.redis.prefix}*`))),
    ],
    [
      'and a request arms another timer before anybody has noticed',
      async (opened) => {
        await opened.call('DEL', opened.shop.key('order-timers:{order_confirm}:due'))
        await ship(opened.shop, 1, 60_000)
      },
    ],
  ]
  for (const [title, lose] of LOSSES) {
    it(`${title}, that is noticed before they are due, reported, and armed again`, async () => {
      const opened = await open()
      const { shop, lines } = opened
      const worker = await shop.worker({ fallback: false })
      await seen(worker)
      await ship(shop, 200, 6000)
      const told = notes(worker)
      const lost = waitForEvent<WorkerEvents['fault']>(worker, 'fault', { where: ({ code }) => code === 'REDIS_LOST_DATA' })
      const restored = waitForEvent<WorkerEvents['restored']>(worker, 'restored')
      await lose(opened)
      await lost
      assert.ok((await restored)[0].armed >= 200)
      await confirmed(shop, 200, 10_000)
      await wereNotLate(shop.database, await ids(shop.database))
      assert.ok(
        lines.all.some(
          ({ level, message }) => level === 'warn' && /^Redis lost its data; re-armed \d+ timers from Postgres \(/.test(message),
        ),
        JSON.stringify(lines.all),
      )
      assert.deepEqual([...new Set(told)], ['fault REDIS_LOST_DATA', 'recovered REDIS_LOST_DATA'])
      assert.equal(worker.health().status, 'ok')
      await shop.close()
    }).timeout(20_000)
  }

  it('of the orders due in the next seven seconds, 99 % are late by less than two', async () => {
    const { shop, call } = await open()
    const worker = await shop.worker({ fallback: false })
    await seen(worker)
    for (let n = 0; n < 100; n += 1) await ship(shop, 5, 1000 + n * 60)
    await call('FLUSHALL')
    await confirmed(shop, 500, 15_000)
    const lateness = await shop.database.ledger.lateness()
    const p99 = lateness[Math.floor(lateness.length * 0.99)] as number
    assert.ok(p99 < 2000, `p99 ${p99} ms`)
    await shop.close()
  }).timeout(40_000)

  it('restarted with data that is older than what the worker has seen, that is reported too', async () => {
    await redis.restart(['--appendonly', 'no', '--save', '3600 100000'])
    const { shop, call } = await open()
    const worker = await shop.worker({ fallback: false })
    await seen(worker)
    await call('SAVE')
    await cp(join(redis.directory, 'dump.rdb'), join(redis.directory, 'older.rdb'))
    await call('HINCRBY', shop.key('order-timers:{order_confirm}:due:state'), 'epoch', '1')
    await holdsFor(1500, () => true)
    await ship(shop, 20, 4000)
    const restored = waitForEvent<WorkerEvents['restored']>(worker, 'restored', { within: 8000 })
    await redis.restart(['--appendonly', 'no', '--save', '3600 100000', '--dbfilename', 'older.rdb'])
    await restored
    await confirmed(shop, 20, 8000)
    await shop.close()
  }).timeout(30_000)

  it('several workers: one of them reports it, and every order is settled', async () => {
    const { shop, call } = await open()
    const workers = [await shop.worker({ fallback: false }), await shop.worker({ fallback: false }), await shop.worker({ fallback: false })]
    await Promise.all(workers.map(seen))
    await ship(shop, 50, 3000)
    await call('FLUSHALL')
    await confirmed(shop, 50, 6000)
    const faults = workers.flatMap(({ faultsTold }) => faultsTold).filter(({ code }) => code === 'REDIS_LOST_DATA')
    assert.equal(faults.length, 1)
    await shop.close()
  }).timeout(20_000)

  it('and the worker that reported it cannot read Postgres, that is over when another worker has restored it', async () => {
    const url = process.env.DATABASE_URL as string
    const proxy = await TcpProxy.start(portOf(url))
    const shop = await openShop(confirming(), { redisUrl: redis.url, database: { url: withPort(url, proxy.port) } })
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await seen(worker)
    await ship(shop, 5, 60_000)
    const isFault = (code: string) => worker.health().faults.some((fault) => fault.code === code)
    proxy.refuse()
    await shop.redis.client.flushall()
    await waitUntil(() => isFault('REDIS_LOST_DATA') && isFault('SWEEP_FAILED'))
    const { keys, redis: other } = runtimeOf(shop.timers)
    // As the worker does whose turn it is next.
    await shop.redis.client.set(`${keys.sets('order_confirm').due}:state:restored-by`, 'another worker', 'PX', 60_000)
    await holdsFor(500, () => isFault('REDIS_LOST_DATA'))
    await other?.leases.restored('order_confirm')
    proxy.pass()
    await waitUntil(() => worker.health().status === 'ok')
    await shop.close()
    await proxy.stop()
  }).timeout(30_000)

  it('rules with "since", and reminders, are armed again too', async () => {
    const rules = ({ Order }: Database) => ({
      order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '3s' }),
      order_confirm: transition(Order, {
        ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' },
        reminders: [{ before: '1s', run: () => {} }],
        history: true,
      }),
    })
    const shop = await openShop(rules, { redisUrl: redis.url })
    for (const sql of History.createSql(HISTORY_TABLE)) await shop.database.client.query(sql)
    const worker = await shop.worker({ fallback: false })
    const reminded: unknown[] = []
    worker.on('reminded', (told) => reminded.push(told))
    await seen(worker)
    const pay = await shop.order({ status: 1 })
    const confirm = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() + 3500) })
    const restored = waitForEvent<WorkerEvents['restored']>(worker, 'restored')
    await shop.redis.client.flushall()
    assert.equal((await restored)[0].armed >= 1, true)
    await waitUntil(async () => (await shop.statusOf(pay)) === 0 && (await shop.statusOf(confirm)) === 5, { within: 6000 })
    assert.equal(reminded.length, 1)
    await shop.close()
  }).timeout(20_000)

  it('nothing is reported if timers are settled, cancelled and armed as usual', async () => {
    const { shop } = await open()
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await seen(worker)
    for (let times = 0; times < 10; times += 1) {
      await ship(shop, 5, 150)
      for (const id of await ship(shop, 5, 60_000)) await shop.timers.cancel('order_confirm', id)
      await confirmed(shop, 5 * (times + 1))
      if (times % 3 === 0) await holdsFor(900, () => true)
    }
    assert.deepEqual(worker.faultsTold, [])
    await shop.close()
  }).timeout(30_000)
})

async function ids({ client }: Database): Promise<number[]> {
  const { rows } = await client.query<{ id: number }>('SELECT id FROM orders WHERE status = 5')
  return rows.map(({ id }) => id)
}

function notes(worker: TestWorker): string[] {
  const told: string[] = []
  worker.on('fault', ({ code }) => told.push(`fault ${code}`))
  worker.on('recovered', ({ code }) => told.push(`recovered ${code}`))
  return told
}
