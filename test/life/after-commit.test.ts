import assert from 'node:assert/strict'
import { type AfterCommit, effect, type Rule, transition } from '../../lib/index.js'
import { closeProxies, openProxies, workerConfig } from '../faults/own-worker.js'
import { inTime, waitForEvent, waitUntil } from '../support/waiting.js'
import { startWorkerProcess } from '../support/worker-process.js'
import { EVERY_SECOND, heard, openParcels, type Parcel, type ParcelShop } from './parcels.js'
import { makeRules, TOLD_TABLE } from './reminding-rules.js'

const CONFIRM = { from: 4, to: 5, deadline: 'dueAt', after: '24h' } as const

describe('"afterCommit"', () => {
  let shop: ParcelShop<{ order_confirm: Rule<'deadline', Parcel> }>

  afterEach(() => shop.close())

  const open = async (afterCommit: AfterCommit<Parcel>, more: object = {}) => {
    shop = await openParcels((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, afterCommit, ...more }) }))
  }
  const undelivered = async () => (await shop.history()).filter(({ next_try }) => next_try !== null)
  const keyOf = (id: number, dueAt: Date | null) => `order_confirm:${id}:${dueAt?.getTime()}`

  for (const history of [false, true]) {
    it(`runs after the commit, once for each order, with a key for each, ${history ? 'with' : 'without'} a history`, async () => {
      const seen: unknown[] = []
      await open(
        async (parcels, { idempotencyKeys, signal }) => {
          for (const [i, parcel] of parcels.entries()) {
            const { rows } = await shop.database.client.query('SELECT status FROM parcels WHERE id = $1', [parcel.id])
            seen.push([parcel.id, parcel.status, parcel.dueAt, rows[0].status, idempotencyKeys[i], signal.aborted])
          }
        },
        { history },
      )
      const ids = [await shop.parcel(-1000), await shop.parcel(-900)]
      const keys = (await Promise.all(ids.map(shop.find))).map(({ id, dueAt }) => keyOf(id, dueAt))
      const worker = await shop.worker({ fallback: false })
      await waitUntil(() => worker.health().busy === 0)
      assert.deepEqual(
        seen,
        ids.map((id, i) => [id, 5, null, 5, keys[i], false]),
      )
      assert.deepEqual(await undelivered(), [])
      assert.equal((await shop.history()).length, history ? 2 : 0)
    })
  }

  it('does not run for what was undone', async () => {
    const told: number[] = []
    await open((parcels) => void told.push(...parcels.map(({ id }) => id)), {
      history: true,
      attempts: 1,
      run: (parcels: Parcel[]) => {
        if (parcels.some(({ country }) => country === 'JP')) throw new Error('not there')
      },
    })
    const [fine] = [await shop.parcel(-1000), await shop.parcel(-1000, { country: 'JP' })]
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.deadTold.length && worker.health().busy === 0)
    assert.deepEqual(told, [fine])
  })

  it('that fails without a history is reported, and not tried again; the order stays settled', async () => {
    let calls = 0
    await open(() => {
      calls += 1
      throw new Error('no mail today')
    })
    const id = await shop.parcel()
    const worker = await shop.worker(EVERY_SECOND)
    const told = heard(worker, 'failed')
    await shop.timers.schedule('order_confirm', id, { after: 20 })
    await waitUntil(() => told.failed.length)
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    assert.deepEqual(
      told.failed.map(({ error, ...failed }) => [failed, `${error}`]),
      [[{ kind: 'order_confirm', id: String(id), attempts: 1, retryInMs: null }, 'Error: no mail today']],
    )
    assert.deepEqual([calls, (await shop.find(id)).status, worker.settled.length], [1, 5, 1])
  })

  it('that fails with a history is tried again one by one under the same keys, and after "attempts" it is dead', async () => {
    const calls: { ids: number[]; keys: string[] }[] = []
    await open(
      (parcels, { idempotencyKeys }) => {
        calls.push({ ids: parcels.map(({ id }) => id), keys: idempotencyKeys })
        if (parcels.some(({ country }) => country === 'JP')) throw new Error('no mail to Japan')
      },
      { history: true, attempts: 3 },
    )
    const ids = [await shop.parcel(-1000), await shop.parcel(-900, { country: 'JP' })] as const
    const keys = (await Promise.all(ids.map(shop.find))).map(({ id, dueAt }) => keyOf(id, dueAt))
    const worker = await shop.worker(EVERY_SECOND)
    const told = heard(worker, 'failed', 'dead')
    await waitUntil(() => told.dead.length, { within: 10_000 })
    assert.deepEqual(calls[0], { ids: [...ids], keys })
    const again = calls.slice(1)
    assert.deepEqual(
      again.filter((call) => call.ids[0] === ids[0]),
      [{ ids: [ids[0]], keys: [keys[0]] }],
    )
    assert.deepEqual(
      again.filter((call) => call.ids[0] === ids[1]),
      Array(2).fill({ ids: [ids[1]], keys: [keys[1]] }),
    )
    assert.deepEqual(
      told.dead.map(({ error, ...dead }) => [dead, `${error}`]),
      [[{ kind: 'order_confirm', id: String(ids[1]), attempts: 3 }, 'Error: no mail to Japan']],
    )
    assert.deepEqual(await undelivered(), [])
    assert.deepEqual(
      (await shop.history()).map(({ error }) => error),
      [null, 'no mail to Japan'],
    )
    assert.equal(worker.settled.length, 2)
  })

  it('that is slow to catch up keeps no sweep waiting', async () => {
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    await open(() => released, { history: true })
    await shop.sql(`INSERT INTO order_timers_history (kind, order_id, via, worker, attempts, next_try)
      SELECT 'order_confirm', id::text, 'sweep', 'one that died', 1, now() FROM (SELECT ${await shop.parcel(null, { status: 5 })} AS id) AS p`)
    const worker = await shop.worker(EVERY_SECOND)
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    assert.equal((await undelivered())[0]?.attempts, 2)
    release()
    await waitUntil(async () => (await undelivered()).length === 0)
  })

  it('that is slow is not called again by a sweep meanwhile', async () => {
    let release = () => {}
    let calls = 0
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    await open(
      () => {
        calls += 1
        return released
      },
      { history: true },
    )
    const worker = await shop.worker(EVERY_SECOND)
    await shop.timers.schedule('order_confirm', await shop.parcel(), { after: 20 })
    await waitUntil(() => calls)
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    release()
    await waitUntil(async () => (await undelivered()).length === 0)
    assert.equal(calls, 1)
  })

  it('gets an order that the effect has soft-deleted, also from the next worker', async () => {
    const told: unknown[] = []
    const effects = await openParcels((Parcels) => ({
      order_unpaid: effect(Parcels, {
        where: { isPaid: false },
        since: 'placedAt',
        after: '15m',
        history: true,
        run: async (parcels, { transaction }) => {
          for (const parcel of parcels) await parcel.destroy({ transaction })
        },
        afterCommit: (parcels) => {
          told.push(...parcels.map(({ id, deletedAt }) => [id, deletedAt instanceof Date]))
          if (told.length === 1) throw new Error('once more')
        },
      }),
    }))
    shop = effects as never
    const id = await effects.parcel(null, { placedAt: new Date(Date.now() - 3_600_000) })
    await effects.worker(EVERY_SECOND)
    await waitUntil(() => told.length === 2)
    assert.deepEqual(told, Array(2).fill([id, true]))
    await waitUntil(async () => (await undelivered()).length === 0)
  })

  it('is called by another worker if one was killed right after the commit, under the same key', async () => {
    shop = await openParcels((_, sequelize) => makeRules(undefined, sequelize))
    await shop.sql(TOLD_TABLE)
    const proxies = await openProxies(shop)
    const rules = new URL('./reminding-rules.ts', import.meta.url).href
    const dying = await startWorkerProcess({ ...workerConfig(shop, 'worker 1', proxies), rules })
    const point = proxies.postgres.hold('INSERT INTO told')
    const id = await shop.parcel()
    const { deadline } = await shop.timers.schedule('order_confirm', id, { after: 100 })
    await inTime(point.seen, 8000, 'the worker to come to its telling')
    await dying.kill()
    assert.equal((await shop.find(id)).status, 5, 'it was committed')
    const [left] = await undelivered()
    const patience = (left?.next_try?.getTime() as number) - Date.now()
    assert.ok(patience > 55_000 && patience < 65_000, `the worker that settled has twice its timeout and a little: ${patience}`)
    const survivor = await startWorkerProcess({ ...workerConfig(shop, 'worker 2'), rules })
    assert.deepEqual(await shop.sql('SELECT 1 FROM told'), [])
    await shop.sql('UPDATE order_timers_history SET next_try = now()')
    await waitUntil(async () => (await undelivered()).length === 0)
    assert.deepEqual(await shop.sql('SELECT what, key FROM told'), [{ what: 'settled', key: keyOf(id, deadline) }])
    assert.equal(await survivor.stop(), 0)
    await closeProxies(proxies)
  }).timeout(40_000)
})
