import assert from 'node:assert/strict'
import { type AnyRule, effect, transition } from '../../lib/index.js'
import { EVERY_SECOND, openParcels, type ParcelShop } from '../life/parcels.js'
import { refused } from '../support/refused.js'
import { waitUntil } from '../support/waiting.js'

const CONFIRM = { from: 4, to: 5, deadline: 'dueAt', after: '24h', attempts: 2 } as const
const run = () => {}

describe('A settlement that is vetoed', () => {
  let close: () => Promise<void>

  afterEach(() => close())

  /** How rules settle. */
  const RULES: Record<string, (Parcels: ParcelShop<never>['Parcel']) => AnyRule> = {
    'a transition': (Parcels) => transition(Parcels, CONFIRM),
    'a transition with "since"': (Parcels) => transition(Parcels, { from: 4, to: 5, since: 'placedAt', after: '1s', attempts: 2 }),
    'a transition with "run"': (Parcels) => transition(Parcels, { ...CONFIRM, run }),
    'a transition with history': (Parcels) => transition(Parcels, { ...CONFIRM, history: true }),
    'a transition with a brake': (Parcels) => transition(Parcels, { ...CONFIRM, brake: { max: 100, per: '1h' } }),
    'a transition with individualHooks': (Parcels) => transition(Parcels, { ...CONFIRM, individualHooks: true }),
    'an effect': (Parcels) =>
      effect(Parcels, {
        where: { status: 4 },
        deadline: 'dueAt',
        run: (orders, { transaction }) => Parcels.update({ status: 5 }, { where: { id: orders.map(({ id }) => id) }, transaction }),
        attempts: 2,
      }),
  }
  /** How a trigger keeps a row as it is. */
  const VETOES = { 'returns NULL': 'RETURN NULL', 'returns the old row': 'RETURN OLD' }

  for (const [which, rule] of Object.entries(RULES)) {
    for (const [how, body] of Object.entries(VETOES)) {
      it(`by a trigger that ${how}, of ${which}, counts as failed until it is a dead letter, and keeps back no other order`, async () => {
        const shop = await openParcels((Parcels) => ({ order_confirm: rule(Parcels) }))
        close = shop.close
        await shop.sql(`CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; END $$`)
        await shop.sql(`CREATE TRIGGER veto BEFORE UPDATE ON parcels FOR EACH ROW WHEN (OLD.country = 'XX') EXECUTE FUNCTION veto()`)
        const placedAt = new Date(Date.now() - 60_000)
        const ids = await Promise.all(['TW', 'XX', 'TW'].map((country) => shop.parcel(-1_000, { country, placedAt })))
        const vetoed = String(ids[1])
        const worker = await shop.worker(EVERY_SECOND)
        await waitUntil(() => worker.deadTold.length === 1, { within: 15_000 })
        const [dead] = worker.deadTold
        const { code, message } = (dead as { error: unknown }).error as Error & { code: string }
        const isEffectsOwn = which === 'an effect' && body === 'RETURN OLD' // its `run` wrote nothing that ended "where"
        assert.deepEqual([dead?.id, code], [vetoed, `ERR_ORDER_TIMERS_${isEffectsOwn ? 'STILL_DUE' : 'VETOED'}`], message)
        const why = isEffectsOwn ? 'is still due after "run"' : 'was not settled: '
        assert.ok(message.startsWith(`orderTimers: rule "order_confirm": Parcel "${vetoed}" ${why}`), message)
        assert.deepEqual(new Set(worker.settled.map(({ id }) => Number(id))), new Set([ids[0], ids[2]]))
        assert.equal((await shop.find(ids[1] as number)).status, 4)
        const { locked, failed } = worker.health().kinds.order_confirm ?? {}
        assert.deepEqual({ locked, failed }, { locked: 0, failed: 2 })
      })
    }
  }

  it('is distinguished from one whose row is locked, which is put off and settled once it is free', async () => {
    const shop = await openParcels((Parcels) => ({ order_confirm: transition(Parcels, CONFIRM) }))
    close = shop.close
    const id = await shop.parcel(-1_000)
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT FROM parcels WHERE id = $1 FOR UPDATE', [id])
    const worker = await shop.worker(EVERY_SECOND)
    await waitUntil(() => (worker.health().kinds.order_confirm?.locked ?? 0) >= 2)
    await holder.query('ROLLBACK')
    await waitUntil(() => worker.settled.length === 1)
    assert.equal(worker.health().kinds.order_confirm?.failed, 0)
  })
})

describe('A call whose write a trigger vetoes', () => {
  it('says so, whichever call it is, and blames neither the order nor its timer', async () => {
    const shop = await openParcels((Parcels) => ({
      order_confirm: transition(Parcels, { ...CONFIRM, pause: { keep: 'leftMs' }, maxExtensions: 3, extended: 'extended' }),
    }))
    const { timers } = shop
    const [id, paused] = [await shop.parcel(3_600_000), await shop.parcel(3_600_000)]
    await timers.pause('order_confirm', paused)
    await shop.sql('CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$')
    await shop.sql('CREATE TRIGGER veto BEFORE UPDATE ON parcels FOR EACH ROW EXECUTE FUNCTION veto()')
    const calls = {
      schedule: () => timers.schedule('order_confirm', id),
      'schedule at an instant': () => timers.schedule('order_confirm', id, { at: new Date(Date.now() + 60_000) }),
      extend: () => timers.extend('order_confirm', id, '1h'),
      cancel: () => timers.cancel('order_confirm', id),
      pause: () => timers.pause('order_confirm', id),
      resume: () => timers.resume('order_confirm', paused),
    }
    const before = await shop.sql('SELECT * FROM parcels ORDER BY id')
    for (const [name, call] of Object.entries(calls)) {
      const { code, message } = await refused(call)
      assert.equal(code, 'ERR_ORDER_TIMERS_VETOED', name)
      assert.match(
        message,
        /^orderTimers: order_confirm: Parcel "\d+" was not written: a trigger on the table, or a row-level security policy,/,
      )
    }
    assert.deepEqual(await shop.sql('SELECT * FROM parcels ORDER BY id'), before)
    await shop.close()
  })
})
