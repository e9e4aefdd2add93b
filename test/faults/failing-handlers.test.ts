// Rules that fail: retries, dead letters, hangs. A rule's own fault is an attempt; the database's never is.

import assert from 'node:assert/strict'
import { QueryTypes } from 'sequelize'
import type { WorkerEvents } from '../../lib/index.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { holdsFor, waitForEvent, waitUntil } from '../support/waiting.js'
import { confirmed, confirming, countIn, EVERY_SECOND, promisesHeld, ship } from './confirming.js'

type Failed = WorkerEvents['failed'][0]

describe('A rule that fails', () => {
  it('is tried again with growing pauses, while the other orders of its batch settle at once', async () => {
    const poor = 21
    const failed: Failed[] = []
    const run = (orders: { id: number }[]) => {
      if (orders.some(({ id }) => id === poor) && failed.length < 2) throw new Error('no stamps')
    }
    const shop = await openShop(confirming({ run }))
    const worker = await shop.worker()
    let settledBefore: number | undefined
    worker.on('failed', (told) => {
      if (failed.push(told) === 2) settledBefore = worker.settled.length
    })
    await ship(shop, 40, 2000)
    await confirmed(shop, 40, 10_000)
    assert.equal(settledBefore, 39, 'settled before the second attempt')

    assert.deepEqual(
      failed.map(({ id, attempts }) => ({ id, attempts })),
      [
        { id: String(poor), attempts: 1 },
        { id: String(poor), attempts: 2 },
      ],
    )
    assert.ok(failed[0]!.retryInMs! >= 500 && failed[0]!.retryInMs! <= 1000, `first pause ${failed[0]!.retryInMs}`)
    assert.ok(failed[1]!.retryInMs! >= 1000 && failed[1]!.retryInMs! <= 2000, `second pause ${failed[1]!.retryInMs}`)
    await shop.close()
  })

  it('becomes a dead letter after its attempts, which the sweep leaves alone, and settles after a retry', async () => {
    let broken = true
    const run = () => {
      if (broken) throw new Error('the till is jammed')
    }
    const shop = await openShop(confirming({ run, attempts: 2 }))
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const dead = waitForEvent<[WorkerEvents['dead'][0]]>(worker, 'dead')
    const [id] = await ship(shop, 1, 100)
    assert.equal((await dead)[0].attempts, 2)
    const [letter] = await waitUntil(async () => {
      const letters = await shop.timers.dead()
      return letters.length > 0 ? letters : undefined
    })
    assert.equal(letter?.id, String(id))
    assert.match(letter?.error ?? '', /the till is jammed/)
    assert.equal(letter?.attempts, 2)

    broken = false
    let swept = 0
    worker.on('swept', () => {
      swept += 1
    })
    await waitUntil(() => swept >= 2)
    assert.equal(await countIn(shop.database, 5), 0)
    await shop.timers.retry('order_confirm', id!)
    await confirmed(shop, 1)
    assert.deepEqual(await shop.timers.dead(), [])
    await shop.close()
  })

  it('is aborted by its signal after its timeout, and that counts as an attempt', async () => {
    let signal: AbortSignal | undefined
    let abortedAtFirst: boolean | undefined
    const run = (_orders: unknown, work: { signal: AbortSignal }): Promise<void> => {
      const first = signal === undefined
      signal ??= work.signal
      abortedAtFirst ??= work.signal.aborted
      return first ? new Promise(() => {}) : Promise.resolve()
    }
    const shop = await openShop(confirming({ run, timeout: 500 }))
    const worker = await shop.worker()
    const failed = waitForEvent<[Failed]>(worker, 'failed')
    const [hanging] = await ship(shop, 1, 50)
    await waitUntil(() => signal)
    assert.equal(abortedAtFirst, false)
    assert.equal((await failed)[0].id, String(hanging))
    assert.equal(signal!.aborted, true)
    // The hanging transaction keeps its row locked until idle_in_transaction_session_timeout, 5 s after the rule's timeout.
    await confirmed(shop, 1, 15_000)
    await shop.close()
  }).timeout(30_000)

  for (const [what, fault] of [
    ['null', null],
    ['a text', 'out of paper'],
    ['an error that contains itself', Object.assign(new Error('round'), { self: {} as unknown })],
  ] as const) {
    it(`may throw ${what} and is tried again`, async () => {
      if (fault instanceof Error) Object.assign(fault, { self: fault })
      let times = 0
      const run = () => {
        times += 1
        if (times === 1) throw fault
      }
      const shop = await openShop(confirming({ run }))
      await shop.worker()
      await ship(shop, 1, 50)
      await confirmed(shop, 1)
      assert.equal(times, 2)
      await shop.close()
    })
  }

  it('does not count as settled after it swallowed an SQL error, since Postgres then silently rolls back', async () => {
    let broken = true
    const shop = await openShop((database) =>
      confirming({
        run: async (_orders, { transaction }) => {
          if (broken) await database.sequelize.query('SELECT 1 / 0', { transaction }).catch(() => {})
        },
      })(database),
    )
    const worker = await shop.worker()
    const failed = waitForEvent<[Failed]>(worker, 'failed')
    await ship(shop, 1, 50)
    await failed
    assert.deepEqual(worker.settled, [])
    broken = false
    await confirmed(shop, 1)
    await shop.close()
  })

  it('is counted when its own SQL is wrong, and delays nothing else', async () => {
    const poor = 11
    const shop = await openShop((database) =>
      confirming({
        attempts: 1,
        run: async (orders, { transaction }) => {
          if (!orders.some(({ id }) => id === poor)) return
          await database.sequelize.query('SELECT no_such_column FROM orders', { transaction, type: QueryTypes.SELECT })
        },
      })(database),
    )
    const worker = await shop.worker()
    const dead = waitForEvent<[WorkerEvents['dead'][0]]>(worker, 'dead')
    await ship(shop, 20, 2000)
    assert.equal((await dead)[0].id, String(poor))
    await confirmed(shop, 19)
    await shop.close()
  })

  it('is not counted where the database broke under it', async () => {
    const shop = await openShop((database) => {
      let times = 0
      return confirming({
        attempts: 1,
        run: async (_orders, { transaction }) => {
          times += 1
          if (times > 3) return
          await database.sequelize.query('SELECT pg_terminate_backend(pg_backend_pid())', { transaction })
        },
      })(database)
    })
    const worker = await shop.worker()
    const failed = collect(worker)
    await ship(shop, 10, 200)
    await confirmed(shop, 10, 10_000)
    assert.deepEqual(failed, [])
    assert.deepEqual(await shop.timers.dead(), [])
    await shop.close()
  })

  it('is settled once by a plain handler that succeeds at its second attempt', async () => {
    const done: string[][] = []
    const shop = await openShop(() => ({
      order_other: async ({ ids }: { ids: string[] }) => {
        done.push(ids)
        if (done.length === 1) throw new Error('not yet')
      },
    }))
    await shop.worker()
    await shop.timers.schedule('order_other', '7', { after: 50 })
    await waitUntil(() => done.length === 2)
    await holdsFor(300, () => done.length === 2)
    assert.deepEqual(done, [['7'], ['7']])
    await promisesHeld(shop.database)
    await shop.close()
  })
})

function collect(worker: TestWorker): Failed[] {
  const failed: Failed[] = []
  worker.on('failed', (one) => failed.push(one))
  return failed
}
