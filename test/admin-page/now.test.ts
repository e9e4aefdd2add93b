// What the screens "Now" and "Processes" say: the same as `order-timers status`, of rules of each form and of reminders; and that neither waits for a
// server that does not answer.

import assert from 'node:assert/strict'
import express from 'express'
import { doctor } from '../../lib/admin/doctor/doctor.js'
import { viewOrder } from '../../lib/admin/order-view.js'
import { type Status, status } from '../../lib/admin/status.js'
import { headlineOf } from '../../lib/admin/verdict.js'
import { Answers } from '../../lib/admin-page/answers.js'
import { orderTimersAdmin } from '../../lib/admin-page/index.js'
import { parseAdminOptions } from '../../lib/admin-page/options.js'
import type { OrderFound } from '../../lib/admin-page/screens/order.js'
import type { Stuck } from '../../lib/admin-page/screens/stuck.js'
import { orderText } from '../../lib/cli/order-text.js'
import { orderTimersHealth } from '../../lib/health.js'
import { transition } from '../../lib/index.js'
import { Counting } from '../../lib/metrics/counting.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { openParcels } from '../life/parcels.js'
import { bury } from '../support/dead-letters.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { waitUntil } from '../support/waiting.js'
import { listen, send } from './admin-shop.js'

const HOUR_MS = 3_600_000
const REMINDER = 'order_confirm.reminder-2h'

const open = async (redisUrl?: string) => {
  const shop = await openParcels(
    (Parcels) => ({
      order_confirm: transition(Parcels, {
        ...{ from: 4, to: 5, deadline: 'dueAt', after: '24h', history: true },
        reminders: [{ before: '2h', run: async () => {} }],
      }),
      order_unshipped: transition(Parcels, { from: 2, to: 0, deadline: false, after: '24h' }),
      order_other: async () => {},
    }),
    redisUrl === undefined ? {} : { redisUrl },
  )
  for (const sql of Holds.createSql(HOLDS_TABLE)) await shop.sql(sql)
  const runtime = runtimeOf(shop.timers)
  runtime.beats?.onlyLook()
  const answers = new Answers(runtime, parseAdminOptions({ authorize: () => false }))
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it
  const data = (screen: string) => answers.data(screen, new URLSearchParams()) as Promise<any>
  return { shop, runtime, answers, data }
}

/** Without the figures, which pass. */
const said = ({ troubles }: Pick<Status, 'troubles'>) =>
  troubles.map(({ level, code, kind, message }) => `${level} ${code} ${kind ?? ''} ${message.replace(/\d[\d.:TZ-]*/g, '#')}`)

describe('the screen "Now"', function () {
  this.timeout(60_000)

  it('says what status says of rules that Redis alone has: what fails, what is held', async () => {
    const { shop, runtime, data } = await open()
    const codes = async (expected: string[]) => {
      const page = await waitUntil(async () => {
        const now = await data('now')
        return (
          said(now)
            .map((line) => line.split(' ').slice(1, 3).join(' '))
            .join() === expected.join() && now
        )
      })
      assert.deepEqual(said(page), said(await status(runtime)))
      return page
    }
    const sets = (kind: string) => runtime.keys.sets(kind)
    const failure = { attempts: 2, error: 'no stock', at: new Date().toISOString(), dead: false }
    await shop.redis.client.hset(sets('order_other').failures, '7', JSON.stringify(failure))
    await shop.redis.client.zadd(sets('order_unshipped').due, Date.now() - HOUR_MS, '1')
    await codes(['NO_WORKER ', 'OVERDUE order_unshipped', 'RULE_FAILED order_other'])
    const overdue = async () =>
      (await doctor(runtime)).findings.flatMap(({ name, kind, verdict }) => (name === 'orders.overdue' ? [`${kind} ${verdict}`] : []))
    assert.deepEqual(await overdue(), ['order_confirm fine', 'order_unshipped wrong', 'order_other fine'])
    await shop.timers.hold('order_unshipped', { reason: 'a test', by: 'mei' })
    const held = await codes(['NO_WORKER ', 'RULE_FAILED order_other'])
    assert.deepEqual(await overdue(), ['order_confirm fine', 'order_unshipped fine', 'order_other fine'])
    assert.deepEqual(
      held.kinds.map(({ kind, holds }: { kind: string; holds: { by: string }[] }) => [kind, holds.map(({ by }) => by)]),
      [
        ['order_confirm', []],
        ['order_unshipped', ['mei']],
        ['order_other', []],
      ],
    )
    await shop.close()
  })

  it('says with status, show, /ready, the metrics and the doctor that a reminder failed for the last time, and a plain function', async () => {
    const { shop, runtime, answers, data } = await open()
    const failures = (kind: string) => runtime.keys.sets(kind).failures
    const failing = { attempts: 3, error: 'no mail', at: new Date().toISOString(), dead: false }
    await shop.redis.client.hset(failures(REMINDER), '8', JSON.stringify(failing))
    await bury(shop.redis.client, failures(REMINDER), [101, 102], 'no mail today')
    await bury(shop.redis.client, failures('order_other'), [3])
    const found = await status(runtime)
    const lines = found.troubles.filter(({ code }) => code !== 'NO_WORKER').map(({ code, message, remedy }) => [code, message, remedy])
    assert.deepEqual(lines, [
      [
        'DEAD_LETTERS',
        `${REMINDER}: the reminder has used all its attempts on 2 orders, and is not tried again`,
        `order-timers dead ${REMINDER} shows the errors, order-timers retry ${REMINDER} puts them back`,
      ],
      [
        'RULE_FAILED',
        `${REMINDER}: the reminder fails and is tried again, on order 8 3 times so far: no mail`,
        'remove the cause of the error',
      ],
      [
        'DEAD_LETTERS',
        'order_other: the rule has used all its attempts on 1 order, and nothing settles it',
        'order-timers dead order_other shows the errors, order-timers retry order_other puts them back',
      ],
    ])
    await waitUntil(async () => JSON.stringify(said(await data('now'))) === JSON.stringify(said(found)), { what: 'the page to say so' })
    const id = await shop.parcel(HOUR_MS)
    await bury(shop.redis.client, failures(REMINDER), [id], 'no mail today')
    const [ofOrder] = ((await answers.data('order', new URLSearchParams({ id: String(id) }))) as OrderFound).kinds
    const { reminders } = ofOrder ?? {}
    assert.deepEqual(
      reminders?.map(({ kind, failure }) => [kind, failure.dead, failure.error]),
      [[REMINDER, true, 'no mail today']],
    )
    const stuck = (await answers.data('stuck', new URLSearchParams({ kind: REMINDER, state: 'dead' }))) as Stuck
    assert.deepEqual(
      stuck.orders.map((order) => [order.id, order.failure?.error]),
      [String(id), '102', '101'].map((one) => [one, 'no mail today']),
    )
    const [ofReminders] = (await data('now')).kinds
    assert.deepEqual(
      ofReminders.reminders.map(({ kind }: { kind: string }) => kind),
      [REMINDER],
    )
    assert.equal(answers.ruleShown('data/stuck', new URLSearchParams({ kind: REMINDER })), 'order_confirm')
    const shown = orderText(await viewOrder(runtime, String(id), 'order_confirm'))
    assert.match(shown, /^ {2}reminder order_confirm\.reminder-2h failed 5 times, the last at \S+, and is a dead letter: no mail today$/m)
    const { dead } = (await orderTimersHealth(shop.timers).ready()).checks
    assert.deepEqual([dead?.reading, dead?.kind, dead?.value], ['degraded', REMINDER, 3])
    const counting = new Counting(runtime)
    await counting.count()
    assert.deepEqual(Object.fromEntries(counting.dead), { [REMINDER]: 3, order_unshipped: 0, order_other: 1 })
    const { findings } = await doctor(runtime)
    const letters = findings.filter(({ name }) => name === 'orders.dead').map(({ kind, verdict }) => [kind, verdict])
    assert.deepEqual(letters, [
      ['order_confirm', 'fine'],
      [REMINDER, 'wrong'],
      ['order_unshipped', 'fine'],
      ['order_other', 'wrong'],
    ])
    await shop.close()
  })

  it('asks "authorize" about the rule of a reminder, also for an action', async () => {
    const { shop } = await open()
    const asked: unknown[] = []
    const authorize = (_: unknown, { action, kind }: { action: string; kind: string | undefined }) => {
      asked.push([action, kind])
      return false as const
    }
    const server = await listen(express().use(orderTimersAdmin(shop.timers, { authorize })))
    const act = { action: 'discard', kind: REMINDER, orders: [{ id: '101' }] }
    const headers = { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' }
    const { status: answered } = await send(`${server.url}/act`, { method: 'POST', headers, body: JSON.stringify(act) })
    assert.deepEqual([answered, asked], [403, [['discard', 'order_confirm']]])
    await server.close()
    await shop.close()
  })

  it('says "more than 10,000" where its counts end, and how many there are where they do not', async () => {
    const { shop, runtime, data } = await open()
    const insert = (due: string) =>
      shop.sql(`INSERT INTO parcels (status, "dueAt", "isPaid", country) SELECT 4, ${due}, FALSE, 'TW' FROM generate_series(1, 10300)`)
    await insert(`now() - interval '1 hour'`)
    await insert(`now() + interval '1 hour'`)
    const { due } = runtime.keys.sets('order_other')
    const add = (from: number, count: number, at: number) =>
      shop.redis.client.zadd(due, ...Array.from({ length: count }, (_, i) => [at, String(from + i)]).flat())
    await add(1, 10_200, Date.now() - HOUR_MS)
    await add(20_000, 10_100, Date.now() + HOUR_MS)
    const overdue = ({ troubles }: Pick<Status, 'troubles'>) =>
      troubles.flatMap(({ code, message }) => (code === 'OVERDUE' ? [message.replace(/ overdue.*/, '')] : []))
    const ofPage = await waitUntil(async () => {
      const now = await data('now')
      return !now.looking && now
    })
    assert.deepEqual(overdue(ofPage), ['order_confirm: more than 10,000 orders are', 'order_other: 10,200 orders are'])
    const found = await status(runtime)
    assert.deepEqual(overdue(found), ['order_confirm: 10,300 orders are', 'order_other: 10,200 orders are'])
    assert.deepEqual([found.rules[2]?.inRedis?.overdue, found.rules[2]?.inRedis?.pending], [10_200, 10_100])
    const rules = [{ isCapped: true, rows: { pending: 10_001, overdue: 0 } }, { inRedis: { pending: 10_100, overdue: 0 } }]
    const headline = headlineOf([], { processes: { processes: [], redis: 'read' }, rules } as never)
    assert.equal(headline, '✔ ALL IS WELL: 0 workers, more than 20,100 timers pending, 0 overdue')
    await shop.close()
  })

  it('keeps dead letters while Redis is down, and says that it does not know those that it never read', async () => {
    const server = await RedisServer.start()
    const { shop, runtime, answers } = await open(server.url)
    await bury(shop.redis.client, runtime.keys.sets('order_confirm').failures, [await shop.parcel(-HOUR_MS)])
    // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it
    const seen = async (by: Answers): Promise<any> => by.data('now', new URLSearchParams())
    const first = await waitUntil(async () => (await seen(answers)).kinds[0].counts?.dead)
    await server.kill()
    const killedAt = Date.now()
    await waitUntil(() => runtime.redis?.connection.serving === false)
    const kept = await waitUntil(
      async () => {
        const [kind] = (await seen(answers)).kinds
        return kind.atMs > killedAt + 2_500 && kind
      },
      { within: 20_000, what: 'a later count' },
    )
    assert.deepEqual([first, kept.counts.dead, kept.counts.overdue], [1, 1, undefined])
    const fresh = new Answers(runtime, parseAdminOptions({ authorize: () => false }))
    const overdue = await waitUntil(async () =>
      (await seen(fresh)).troubles.find(({ code, kind }: { code: string; kind: string }) => code === 'OVERDUE' && kind === 'order_confirm'),
    )
    assert.match(overdue.message, /; on which orders the rule failed is only in the logs of the workers$/)
    await server.restart()
    await shop.close()
    await server.stop()
  })

  it('and "Processes" wait for no server: what is not known yet is looked at', async () => {
    const server = await RedisServer.start()
    const { shop, data } = await open(server.url)
    await waitUntil(async () => (await data('processes')).redis === 'read')
    await shop.close()
    const second = await open(server.url)
    await second.shop.timers.check()
    await second.shop.timers.schedule('order_other', 7, { after: '1h' })
    server.pause()
    assert.deepEqual([(await second.data('now')).looking, (await second.data('processes')).looking], [true, true])
    const known = await waitUntil(async () => {
      const found = await second.data('processes')
      return !found.looking && found
    })
    assert.match(known.redis.problem, /does not answer/)
    server.resume()
    await second.shop.close()
    await server.stop()
  })
})
