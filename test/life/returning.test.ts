import assert from 'node:assert/strict'
import { effect, startExpiryWorker, transition } from '../../lib/index.js'
import { watched } from '../support/shop.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'
import { EVERY_SECOND, heard, openParcels, type ParcelShop } from './parcels.js'

const CONFIRM = { from: 4, to: 5, deadline: 'dueAt', after: '24h' } as const
const HOUR_MS = 3_600_000

describe('An order that comes back', () => {
  let close: () => Promise<void>

  afterEach(() => close())

  const open: typeof openParcels = async (makeRules, options) => {
    const shop = await openParcels(makeRules, options)
    close = shop.close
    return shop
  }
  const swept = (worker: Parameters<typeof waitForEvent>[0]) => waitForEvent(worker, 'swept')
  const dueAt = async (shop: ParcelShop<never>, id: number) => (await shop.find(id)).dueAt
  /** A deadline about a day from now. */
  const isFresh = (date: Date | null | undefined) => Math.abs(Number(date) - Date.now() - 24 * HOUR_MS) < 30_000

  it('delays no overdue order: the sweep looks for deadlines of orders that left after it has settled', async () => {
    const done: string[] = []
    const shop = await open((Parcels) => ({ order_confirm: transition(Parcels, CONFIRM) }), {
      database: {
        sequelize: {
          logging: (sql) => void done.push(/order_timers_away/.test(sql) ? 'taken off' : /SET "status"/.test(sql) ? 'settled' : ''),
        },
      },
    })
    await shop.parcel(-1_000)
    await shop.parcel(-1_000, { status: 9 })
    const worker = await shop.worker({ fallback: false })
    done.length = 0
    await shop.parcel(-1_000)
    await worker.sweepNow()
    const steps = done.filter((step) => step !== '')
    assert.deepEqual([steps[0], steps.at(-1)], ['settled', 'taken off'])
    await worker.stop()
  })

  it('is settled by the very next sweep though it was settled a moment ago', async () => {
    const shop = await open((Parcels) => ({ order_confirm: transition(Parcels, CONFIRM) }))
    const id = await shop.parcel(-1_000)
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.settled.length === 1)
    await shop.sql(`UPDATE parcels SET status = 4, "dueAt" = now() - interval '1 second' WHERE id = $1`, [id])
    await worker.sweepNow()
    assert.equal((await shop.find(id)).status, 5)
    assert.equal(worker.settled.length, 2)
    await worker.stop()
  })

  it('from among the dead letters by a new deadline is settled, also without Redis', async () => {
    const shop = await open(
      (Parcels) => ({
        order_unpaid: effect(Parcels, {
          where: { isPaid: false },
          deadline: 'dueAt',
          after: '24h',
          attempts: 1,
          run: async ([parcel], { transaction }) => {
            if (parcel?.country === 'XX') throw new Error('no such country')
            await parcel?.update({ isPaid: true }, { transaction })
          },
        }),
      }),
      { redis: false },
    )
    const worker = await shop.worker({ fallback: false })
    const id = await shop.parcel(-60_000, { country: 'XX' })
    await worker.sweepNow()
    assert.equal(worker.deadTold.length, 1)
    await shop.sql(`UPDATE parcels SET country = 'TW' WHERE id = $1`, [id])
    await worker.sweepNow()
    assert.equal((await shop.find(id)).isPaid, false)
    await shop.timers.schedule('order_unpaid', id, { at: Date.now() - 1_000 })
    await worker.sweepNow()
    assert.equal((await shop.find(id)).isPaid, true)
    await worker.stop()
  })

  describe('under "backfill"', () => {
    const paying = () =>
      open((Parcels) => ({
        order_unpaid: effect(Parcels, {
          where: { isPaid: false },
          deadline: 'dueAt',
          after: '24h',
          backfill: true,
          run: async (parcels, { transaction }) => {
            for (const parcel of parcels) if (parcel.country !== 'XX') await parcel.update({ isPaid: true }, { transaction })
          },
        }),
      }))

    it('to where an effect applies has NULL from its settlement on, and gets a deadline again', async () => {
      const shop = await paying()
      const id = await shop.parcel(-1_000)
      const worker = await shop.worker(EVERY_SECOND)
      await waitUntil(() => worker.settled.length === 1)
      assert.equal(await dueAt(shop as never, id), null)
      await shop.sql('UPDATE parcels SET "isPaid" = FALSE WHERE id = $1', [id])
      await waitUntil(async () => isFresh(await dueAt(shop as never, id)))
      await shop.timers.schedule('order_unpaid', id, { after: 50 })
      await waitUntil(() => worker.settled.length === 2)
    })

    it('is not settled again and again by an effect that leaves "where" as it is: it has no timer, and is counted', async () => {
      const shop = await paying()
      const id = await shop.parcel(-1_000, { country: 'XX' })
      const worker = await shop.worker(EVERY_SECOND)
      await waitUntil(() => worker.settled.length === 1)
      await swept(worker)
      await swept(worker)
      assert.equal(worker.settled.length, 1)
      const next = await shop.worker()
      assert.deepEqual(next.undatedTold, [{ kind: 'order_unpaid', count: 1 }])
      assert.equal(await shop.timers.remaining('order_unpaid', id), null)
    })

    const confirming = (more: object = {}) =>
      open((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, backfill: true, pause: { keep: 'leftMs' }, ...more }) }))

    /** Ways in which an order in `from` comes to have no timer. */
    const WAYS: Record<string, [more: object, end: (shop: ParcelShop<never>, id: number) => unknown]> = {
      'after cancel()': [{}, (shop, id) => shop.timers.cancel('order_confirm' as never, id)],
      'after pause()': [{}, (shop, id) => shop.timers.pause('order_confirm' as never, id)],
      'after schedule() under a function "after" that says null': [
        { after: () => null },
        (shop, id) => shop.timers.schedule('order_confirm' as never, id),
      ],
      'after the sweep asked a function "after" that says null': [
        { after: () => null },
        (shop, id) => waitUntil(async () => (await dueAt(shop, id))?.getUTCFullYear() === 9999),
      ],
    }
    for (const [way, [more, end]] of Object.entries(WAYS)) {
      it(`to "from" by the shop's own writes ${way} is NULL as soon as a sweep has seen it away, and filled again`, async () => {
        const shop = await confirming(more)
        const [id, stays] = [await shop.parcel(more && 'after' in more ? null : HOUR_MS), await shop.parcel(HOUR_MS)]
        await shop.worker(EVERY_SECOND)
        await end(shop as never, id)
        await waitUntil(async () => (await dueAt(shop as never, id))?.getUTCFullYear() === 9999)
        await shop.sql('UPDATE parcels SET status = 9 WHERE id = $1', [id])
        await waitUntil(async () => (await dueAt(shop as never, id)) === null)
        assert.equal((await shop.find(id)).leftMs, null)
        await shop.sql('UPDATE parcels SET status = 4 WHERE id = $1', [id])
        await waitUntil(async () => (await dueAt(shop as never, id)) !== null)
        if (!('after' in more)) assert.ok(isFresh(await dueAt(shop as never, id)))
        assert.notEqual(await dueAt(shop as never, stays), null)
      })
    }
  })

  describe('without "auto"', () => {
    const confirming = (options: object = {}) => open((Parcels) => ({ order_confirm: transition(Parcels, CONFIRM) }), options)

    for (const [how, options] of [
      ['the alarm sees it', {}],
      ['the sweep sees it', { redis: false }],
    ] as const) {
      it(`after its deadline is not settled by it: it was taken off when ${how}`, async () => {
        const shop = await confirming(options)
        const worker = await shop.worker(EVERY_SECOND)
        const id = await shop.parcel()
        await shop.timers.schedule('order_confirm', id, { after: 300 })
        await shop.sql('UPDATE parcels SET status = 9 WHERE id = $1', [id])
        await waitUntil(() => worker.health().kinds.order_confirm?.cleared)
        assert.equal(await dueAt(shop as never, id), null)
        await shop.sql('UPDATE parcels SET status = 4 WHERE id = $1', [id])
        await swept(worker)
        await swept(worker)
        assert.deepEqual([(await shop.find(id)).status, worker.settled], [4, []])
        assert.equal(worker.health().kinds.order_confirm?.cleared, 1)
        const next = await shop.worker()
        assert.deepEqual(next.undatedTold, [{ kind: 'order_confirm', count: 1 }])
      })
    }

    it('before its deadline is settled by it, and while it is away it is counted', async () => {
      const shop = await confirming()
      const [id, old] = [await shop.parcel(HOUR_MS, { status: 9 }), await shop.parcel(-30 * 24 * HOUR_MS, { status: 9 })]
      const stillToCome = await shop.parcel(2 * HOUR_MS, { status: 1 })
      const worker = await shop.worker({ fallback: false })
      assert.deepEqual(await leftTold(shop.timers), [{ kind: 'order_confirm', count: 3 }])
      await shop.sql(`UPDATE parcels SET status = 4, "dueAt" = now() + interval '300 ms' WHERE id = $1`, [id])
      await worker.sweepNow()
      await waitUntil(() => worker.settled.length === 1)
      assert.notEqual(await dueAt(shop as never, old), null, 'what is older than "staleAfter" is left alone')
      assert.notEqual(await dueAt(shop as never, stillToCome), null, 'a deadline that the shop writes beforehand stands')
    })

    it('after it was paused does not run on from what that pause has kept: it was taken off by the first sweep that saw it away', async () => {
      const shop = await open((Parcels) => ({
        order_confirm: transition(Parcels, { ...CONFIRM, pause: { keep: 'leftMs', while: { disputeOpen: true } } }),
      }))
      const id = await shop.parcel(HOUR_MS, { disputeOpen: true })
      await (await shop.worker()).stop()
      assert.notEqual((await shop.find(id)).leftMs, null)
      await shop.sql('UPDATE parcels SET status = 9, dispute_open = FALSE WHERE id = $1', [id])
      const worker = await shop.worker(EVERY_SECOND)
      assert.equal((await shop.find(id)).leftMs, null)
      await shop.sql('UPDATE parcels SET status = 4 WHERE id = $1', [id])
      await swept(worker)
      await swept(worker)
      assert.equal(await dueAt(shop as never, id), null)
    })

    it('in a transaction that is open while it is looked at keeps what that writes', async () => {
      const shop = await confirming({ redis: false })
      const id = await shop.parcel(-1_000, { status: 9 })
      const shopping = await shop.database.connect()
      await shopping.query('BEGIN')
      await shopping.query(`UPDATE parcels SET status = 4, "dueAt" = now() + interval '1 hour' WHERE id = $1`, [id])
      const worker = await shop.worker(EVERY_SECOND)
      await shopping.query('COMMIT')
      await swept(worker)
      await swept(worker)
      assert.ok(Number(await dueAt(shop as never, id)) > Date.now())
      assert.equal(worker.health().kinds.order_confirm?.cleared, 0)
    })

    it('is reported if the table refuses that its deadline is cleared; the others are settled in the same batch', async () => {
      const warned: unknown[] = []
      const logger = { debug() {}, info() {}, error() {}, warn: (_: string, fields: { code?: string }) => warned.push(fields.code) }
      const shop = await confirming({ logger })
      await shop.sql(`CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it is closed'; END $$`)
      await shop.sql(`CREATE TRIGGER keep BEFORE UPDATE ON parcels FOR EACH ROW WHEN (OLD.status = 9) EXECUTE FUNCTION keep()`)
      const [away, due] = [await shop.parcel(-1_000, { status: 9 }), await shop.parcel(-1_000)]
      await shop.timers.schedule('order_confirm', due, { at: Date.now() - 500 })
      const worker = await shop.worker(EVERY_SECOND)
      await shop.redis.client.set(shop.key(`order_confirm:${away}`), '1', 'PX', 50)
      await waitUntil(() => worker.settled.length === 1)
      await waitUntil(() => warned.includes('NOT_CLEARED'))
      await waitUntil(() => worker.health().kinds.order_confirm?.gone)
      await swept(worker)
      assert.deepEqual([worker.health().status, warned.filter((code) => code === 'NOT_CLEARED').length], ['ok', 1])
    })
  })

  for (const [what, kept] of [
    ['puts back what was written', 'OLD'],
    ['lets nothing be written', 'NULL'],
  ] as const) {
    it(`is told once, and the sweep ends, if a trigger keeps deadlines from being cleared: it ${what}`, async () => {
      const warned: unknown[] = []
      const logger = { debug() {}, info() {}, error() {}, warn: (_: string, fields: { code?: string }) => warned.push(fields.code) }
      const shop = await open((Parcels) => ({ order_confirm: transition(Parcels, CONFIRM) }), { redis: false, logger })
      await shop.sql(`INSERT INTO parcels (status, "dueAt") SELECT 9, now() - interval '1 second' FROM generate_series(1, 1001)`)
      await shop.sql(`CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN ${kept}; END $$`)
      await shop.sql('CREATE TRIGGER keep BEFORE UPDATE ON parcels FOR EACH ROW WHEN (OLD.status = 9) EXECUTE FUNCTION keep()')
      const worker = await shop.worker(EVERY_SECOND)
      await swept(worker)
      await swept(worker)
      assert.equal(worker.health().kinds.order_confirm?.cleared, 0)
      assert.deepEqual(
        warned.filter((code) => code === 'NOT_CLEARED'),
        ['NOT_CLEARED'],
      )
    })
  }

  it('to where an effect applies after its deadline is settled: "where" may have held it back', async () => {
    const shop = await open((Parcels) => ({
      order_close: effect(Parcels, {
        where: { isPaid: true },
        deadline: 'dueAt',
        run: async (parcels, { transaction }) => {
          for (const parcel of parcels) await parcel.update({ status: 9 }, { transaction })
        },
      }),
    }))
    const id = await shop.parcel(-1_000)
    const worker = await shop.worker(EVERY_SECOND)
    await swept(worker)
    assert.notEqual(await dueAt(shop as never, id), null)
    await shop.sql('UPDATE parcels SET "isPaid" = TRUE')
    await waitUntil(() => worker.settled.length === 1)
    assert.deepEqual([await dueAt(shop as never, id), (await shop.find(id)).status], [null, 9])
  })

  it('keeps everything under "dryRun"', async () => {
    const shop = await open((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, dryRun: true }) }))
    const id = await shop.parcel(-1_000, { status: 9 })
    const worker = await shop.worker(EVERY_SECOND)
    await shop.redis.client.set(shop.key(`order_confirm:${id}`), '1', 'PX', 50)
    await waitUntil(() => worker.health().kinds.order_confirm?.gone)
    await swept(worker)
    assert.notEqual(await dueAt(shop as never, id), null)
  })

  it('whose key somebody else has set, and whose row has no deadline, is counted and reported once a minute', async () => {
    const warned: [string, object][] = []
    const logger = { debug() {}, info() {}, error() {}, warn: (text: string, fields: object) => warned.push([text, fields]) }
    const shop = await open((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, pause: { keep: 'leftMs' } }) }), { logger })
    const [first, second, away, paused] = [
      await shop.parcel(),
      await shop.parcel(),
      await shop.parcel(null, { status: 9 }),
      await shop.parcel(),
    ]
    await shop.sql('UPDATE parcels SET left_ms = 5 WHERE id = $1', [paused])
    const worker = await shop.worker({ fallback: false })
    const { settled } = heard(worker, 'settled')
    for (const id of [first, away, paused]) await shop.redis.client.set(shop.key(`order_confirm:${id}`), '1', 'PX', 50)
    await waitUntil(() => worker.health().kinds.order_confirm?.gone === 3)
    await shop.redis.client.set(shop.key(`order_confirm:${second}`), '1', 'PX', 50)
    await waitUntil(() => worker.health().kinds.order_confirm?.undated === 2)
    assert.deepEqual([settled, warned.length], [[], 1])
    const [[text, { process: _, ...fields }]] = warned as [[string, { process: string }]]
    assert.equal(
      text,
      `order_confirm: the key of Parcel "${first}" expired, but its row has no deadline ("dueAt"), so it is not settled; 1 such keys since the worker started; write "dueAt" where the key is set, give the rule "backfill", or declare it with "since" or "deadline: false"`,
    )
    assert.deepEqual(fields, { code: 'KEY_WITHOUT_DEADLINE', kind: 'order_confirm', id: String(first), count: 1 })
  })

  /** What a further worker tells of orders that are away. */
  async function leftTold(timers: object): Promise<unknown[]> {
    const worker = watched(startExpiryWorker(timers, { fallback: false }))
    const { left } = heard(worker, 'left')
    await worker.ready
    await worker.stop()
    return left
  }
})
