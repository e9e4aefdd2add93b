import assert from 'node:assert/strict'
import { type HandlerWork, transition } from '../../../lib/index.js'
import { Keys } from '../../../lib/keys.js'
import { toLog } from '../../../lib/logger.js'
import type { BoundRule } from '../../../lib/rules/rule.js'
import { Listener } from '../../../lib/worker/intake/listener.js'
import type { Dispatcher } from '../../../lib/worker/settling/dispatcher.js'
import type { IndexClaims } from '../../../lib/worker/settling/index-claims.js'
import { INJECTIONS } from '../../support/bad-ids.js'
import { Lines } from '../../support/lines.js'
import { openShop, type ShopOptions } from '../../support/shop.js'
import { waitUntil } from '../../support/waiting.js'

const EXPIRED = '__keyevent@0__:expired'

/** A shop without a sweep that would ask Postgres by itself, with what is asked of Postgres and a key that comes last. */
async function openListening(options: ShopOptions = {}) {
  const statements: string[] = []
  const shop = await openShop(
    ({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
      order_ship: transition(Order, { from: 2, to: 0, deadline: false }),
    }),
    { database: { sequelize: { logging: (sql) => statements.push(sql) } }, ...options },
  )
  const worker = await shop.worker({ fallback: false })
  await waitUntil(() => worker.health().redis?.events)
  const before = worker.health().events
  /** Every event that came before has been taken, and what followed from it done. */
  const settleLast = async () => {
    const id = await shop.order({ status: 2 })
    await shop.redis.client.publish(EXPIRED, shop.key(`order_ship:${id}`))
    await waitUntil(async () => (await shop.statusOf(id)) === 0)
  }
  const counted = () => {
    const { external, malformed, dropped } = worker.health().events
    return { external: external - before.external, malformed: malformed - before.malformed, dropped: dropped - before.dropped }
  }
  return { shop, worker, statements, settleLast, counted }
}

/** What asks about orders, the clock and the pool's own statements apart. */
const aboutOrders = (statements: string[]) => statements.filter((sql) => sql.includes('"orders"'))

describe('an expired key', () => {
  const malformed = [
    'order_confirm:',
    'order_confirm:1:2',
    'order_confirm:99999999999999999999',
    'order_confirm:2147483648',
    'order_confirm:007',
    'order_confirm: 2 ',
    'order_confirm:34\r\n[ERROR] forged',
    'order_confirm:34\u001b[2J',
    `order_confirm:${'1'.repeat(400)}`,
    ...INJECTIONS.map((id) => `order_confirm:${id}`),
  ]

  it('of a known kind whose id is none is counted and skipped, and asks nothing of Postgres', async () => {
    const { shop, worker, statements, settleLast, counted } = await openListening()
    statements.length = 0
    for (const name of malformed) await shop.redis.client.publish(EXPIRED, shop.key(name))
    await waitUntil(() => counted().malformed === malformed.length)
    assert.deepEqual(aboutOrders(statements), [])
    await settleLast()
    assert.deepEqual(counted(), { external: 0, malformed: malformed.length, dropped: 0 })
    assert.deepEqual(worker.health().kinds.order_confirm, {
      settled: 0,
      failed: 0,
      dead: 0,
      early: 0,
      locked: 0,
      held: 0,
      gone: 0,
      undated: 0,
      cleared: 0,
    })
    await shop.close()
  })

  it('is skipped so when Redis itself tells of it, be it binary or a megabyte long', async () => {
    const { shop, settleLast, counted } = await openListening()
    const { client } = shop.redis
    const names = [
      Buffer.from(shop.key('order_confirm:1; drop table orders')),
      Buffer.concat([Buffer.from(shop.key('order_confirm:')), Buffer.from([0xff, 0xfe, 0x00, 0x33])]),
      Buffer.from(shop.key(`order_confirm:${'1'.repeat(1_000_000)}`)),
      Buffer.from([0xff, 0xfe, 0x00]),
      Buffer.from(''),
    ]
    for (const name of names) await client.set(name, '1', 'PX', 10)
    await waitUntil(async () => (await client.exists(...names)) === 0)
    await waitUntil(() => counted().malformed === 2 && counted().external === 3)
    await settleLast()
    await shop.close()
  })

  it('is logged escaped and cut, on one line', async () => {
    const lines = new Lines()
    const { shop, counted } = await openListening({ logger: lines })
    for (const name of ['order_confirm:34\r\n[ERROR] forged\u001b[31m\0', `order_confirm:${'7'.repeat(450)}`]) {
      await shop.redis.client.publish(EXPIRED, shop.key(name))
    }
    await waitUntil(() => counted().malformed === 2)
    const start = 'order_confirm: an expired key has no valid order id: '
    const told = lines.of('debug').filter((line) => line.startsWith(start))
    assert.equal(told[0], `${start}${JSON.stringify(shop.key('order_confirm:34\r\n[ERROR] forged\u001b[31m\0'))}`)
    assert.equal(told[1]?.length, start.length + 128)
    for (const line of told) assert.match(line, /^[\x20-\x7e…]+$/)
    await shop.close()
  })

  it('whose name only begins or ends like one of ours is none of ours', async () => {
    const { shop, worker, statements, settleLast, counted } = await openListening()
    const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 60_000) })
    statements.length = 0
    const names = [
      shop.key(`order_confirm_log:${id}`),
      shop.key('order_confirm'),
      shop.key(`xorder_confirm:${id}`),
      shop.key(`ORDER_CONFIRM:${id}`),
      shop.key(`:order_confirm:${id}`),
      `x${shop.key(`order_confirm:${id}`)}`,
      `order_confirm:${id}`,
      shop.key(''),
      '',
    ]
    for (const name of names) await shop.redis.client.publish(EXPIRED, name)
    await waitUntil(() => counted().external === names.length)
    assert.deepEqual(aboutOrders(statements), [])
    await settleLast()
    assert.deepEqual([counted().malformed, worker.health().kinds.order_confirm?.settled], [0, 0])
    assert.equal(await shop.statusOf(id), 4)
    await shop.close()
  })

  it('of no kind of ours costs no query and no call, thousands of them', async () => {
    const { shop, worker, statements, settleLast, counted } = await openListening()
    statements.length = 0
    const calls = async () =>
      Number(/calls=(\d+)/.exec((await shop.redis.client.info('commandstats')).split('cmdstat_evalsha')[1] ?? '')?.[1] ?? 0)
    const callsBefore = await calls()
    const pipeline = shop.redis.client.pipeline()
    for (let i = 0; i < 5000; i++) pipeline.set(`session:${shop.redis.prefix}${i}`, '1', 'PX', 30)
    await pipeline.exec()
    await waitUntil(() => counted().external >= 5000, { within: 10_000 })
    assert.deepEqual(aboutOrders(statements), [])
    const spent = (await calls()) - callsBefore
    assert.ok(spent < 100, `${spent} calls`) // the alarms and the scan go on as ever
    await settleLast()
    assert.deepEqual([counted().malformed, counted().dropped, worker.health().kinds.order_ship?.settled], [0, 0, 1])
    await shop.close()
  })
})

describe('a burst of expired keys', () => {
  it('of a rule that lives only in Redis is kept, thirty thousand at once', async () => {
    const [called, gate] = [new Set<string>(), new AbortController()]
    const opened = new Promise((resolve) => gate.signal.addEventListener('abort', resolve))
    const shop = await openShop(() => ({
      order_other: async ({ ids }: HandlerWork) => {
        await opened
        for (const id of ids) called.add(id)
      },
    }))
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events)
    const before = worker.health().events.external
    for (let first = 1; first <= 30_000; first += 5_000) {
      const pipeline = shop.redis.client.pipeline()
      for (let id = first; id < first + 5_000; id += 1) pipeline.publish(EXPIRED, shop.key(`order_other:${id}`))
      await pipeline.exec()
    }
    await shop.redis.client.publish(EXPIRED, shop.key('the last'))
    await waitUntil(() => worker.health().events.external > before)
    gate.abort()
    await waitUntil(() => called.size === 30_000, { within: 30_000 })
    assert.equal(worker.health().events.dropped, 0)
    await shop.close()
  }).timeout(60_000)

  it('of such a rule is not lost although the worker stops while its handler is busy: another one takes it', async () => {
    const called = new Set<string>()
    const started = new AbortController()
    const gate = new AbortController()
    const opened = new Promise((resolve) => gate.signal.addEventListener('abort', resolve))
    const shop = await openShop(() => ({
      order_other: async ({ ids }: HandlerWork) => {
        started.abort()
        await opened
        for (const id of ids) called.add(id)
      },
    }))
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events)
    const before = worker.health().events.external
    const pipeline = shop.redis.client.pipeline()
    for (let id = 1; id <= 1_500; id += 1) pipeline.set(shop.key(`order_other:${id}`), '1', 'PX', 20)
    await pipeline.exec()
    await waitUntil(
      async () => (await shop.redis.client.exists(...Array.from({ length: 1_500 }, (_, i) => shop.key(`order_other:${i + 1}`)))) === 0,
    )
    await shop.redis.client.publish(EXPIRED, shop.key('the last'))
    await waitUntil(() => started.signal.aborted && worker.health().events.external > before)
    const stopped = worker.stop()
    gate.abort()
    await stopped
    await shop.worker({ fallback: false })
    await waitUntil(() => called.size === 1_500, { within: 30_000 })
    assert.equal(worker.health().events.dropped, 0)
    await shop.close()
  }).timeout(60_000)

  it('that is larger than what is kept is logged: how many of which rule, and what becomes of them', async () => {
    const lines = new Lines()
    const ofKind = (kind: string, row?: object) => ({ kind, row, parseId: (id: string) => id }) as unknown as BoundRule
    const rules = [
      ofKind('order_confirm', { deadline: { in: 'column' } }),
      ofKind('order_ship', { deadline: { in: 'redis' } }),
      ofKind('order_other'),
    ]
    const listener = new Listener(
      ...([new Keys(''), new Map(rules.map((rule) => [rule.kind, rule]))] as const),
      { expired: async () => ({ work: {}, unknown: [] }) } as unknown as IndexClaims,
      { batchSize: () => 1_000, claimedJustNow: () => false, isFree: () => true, dispatch() {} } as unknown as Dispatcher,
      toLog(lines),
      { unreadSince: 0 },
      undefined,
      20_010,
    )
    for (const { kind } of rules) for (let id = 1; id <= 20_012; id += 1) listener.take(`${kind}:${id}`)
    await listener.stop()
    const start = (kind: string, count: number) => `${kind}: ${count} expiry events were dropped, since too many wait; `
    assert.deepEqual(lines.of('warn'), [`${start('order_confirm', 12)}the sweep settles their orders`])
    const lost = 'they are lost, since no sweep covers this rule: give it a deadline on the row, or settle these orders by hand'
    assert.deepEqual(lines.of('error'), [`${start('order_ship', 2)}${lost}`, `${start('order_other', 2)}${lost}`])
    assert.equal(listener.counters.dropped, 16)
  })
})
