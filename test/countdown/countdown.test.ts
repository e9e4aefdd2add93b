// The countdown's router over HTTP: what a customer sees of orders, for whom, how often it asks, and how its streams end. The element in a browser is
// in test/pages/countdown.test.ts.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import express, { type Request, type RequestHandler, type Response } from 'express'
import { DataTypes } from 'sequelize'
import { HeldKinds } from '../../lib/countdown/held-kinds.js'
import { type CountdownOptions, type CountdownRouter, countdown } from '../../lib/countdown/index.js'
import { Looks } from '../../lib/countdown/looks.js'
import { Permissions } from '../../lib/countdown/permissions.js'
import { Streams } from '../../lib/countdown/streams.js'
import { wishesIn } from '../../lib/countdown/wishes.js'
import { transition } from '../../lib/index.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { RUNTIME, type Runtime } from '../../lib/timers/runtime.js'
import { listen, send } from '../admin-page/admin-shop.js'
import { openParcels, type ParcelShop } from '../life/parcels.js'
import { waitUntil } from '../support/waiting.js'

const load = createRequire(import.meta.url)
const express4 = load('express4') as typeof express
const compression = load('compression') as (options: { threshold: number }) => RequestHandler
const HOUR_MS = 3_600_000

interface Seen {
  kind: string
  id: string
  state: string
  remaining: number | null
}

describe('the countdown', () => {
  let shop: ParcelShop<ReturnType<typeof rules>>
  let server: Awaited<ReturnType<typeof listen>>
  let router: CountdownRouter
  let statements: string[]
  let authorize: CountdownOptions['authorize']
  let asked: string[]
  let logged: string[]
  const readers: IncomingMessage[] = []

  function rules(Parcel: Parameters<Parameters<typeof openParcels>[0]>[0]) {
    return {
      parcel_confirm: transition(Parcel, { from: 4, to: 5, deadline: 'dueAt', after: '24h', pause: { keep: 'leftMs' } }),
      parcel_pay: transition(Parcel, { from: 1, to: 0, since: 'placedAt', after: '1h' }),
      parcel_check: transition(Parcel, {
        from: 3,
        to: 0,
        since: 'placedAt',
        after: '30m',
        history: true,
        verify: { ask: async (orders) => orders.map(() => true) },
      }),
      parcel_ship: transition(Parcel, { from: 2, to: 0, deadline: false, after: '1h' }),
    }
  }

  beforeEach(async () => {
    logged = []
    const note = (line: string) => line.startsWith('countdown: ') && logged.push(line)
    shop = await openParcels(rules, { logger: { debug() {}, info() {}, warn: note, error: note } })
    statements = []
    asked = []
    authorize = () => true
    router = countdown(shop.timers, {
      authorize: (req, kind, id) => {
        asked.push(`${kind}:${id}`)
        return authorize(req, kind, id)
      },
    })
    server = await listen(express().use('/countdown', router))
    ;(shop.database.sequelize as unknown as { options: { logging: unknown } }).options.logging = (sql: string) => statements.push(sql)
  })

  afterEach(async () => {
    for (const reader of readers.splice(0)) reader.destroy()
    await server.close()
    await shop.close()
  })

  const now = (query: string) => send(`${server.url}/countdown/now?${query}`)
  const seen = async (query: string) => (await now(query)).json.countdowns as Seen[]

  /** What a stream has told, in order; and its raw lines. */
  async function follow(query: string, url = server.url) {
    const request = httpRequest(`${url}/countdown/stream?${query}`, { agent: false }).end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.on('error', () => {})
    readers.push(response)
    const told: Seen[] = []
    const lines: string[] = []
    let text = ''
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      const parts = text.split('\n\n')
      text = parts.pop() as string
      for (const part of parts) {
        lines.push(part)
        if (part.startsWith('event: countdowns\n')) told.push(...JSON.parse(part.slice(part.indexOf('data: ') + 6)))
      }
    })
    return { response, told, lines, states: () => told.map(({ id, state }) => `${id} ${state}`) }
  }

  it('says of each order how it stands, in the order in which they were asked for', async () => {
    const running = await shop.parcel(HOUR_MS)
    const paused = await shop.parcel(HOUR_MS)
    await shop.timers.pause('parcel_confirm', paused)
    const due = await shop.parcel(-2_000)
    const ended = await shop.parcel(null, { status: 5 })
    const placed = await shop.parcel(null, { status: 1 })
    const none = await shop.parcel(null)
    const all = await seen(`parcel_confirm=${[running, paused, due, ended, none, 999].join()}&parcel_pay=${placed}`)
    assert.deepEqual(
      all.map(({ kind, id, state }) => `${kind}:${id} ${state}`),
      [
        `parcel_confirm:${running} running`,
        `parcel_confirm:${paused} paused`,
        `parcel_confirm:${due} settling`,
        `parcel_confirm:${ended} ended`,
        `parcel_confirm:${none} ended`,
        'parcel_confirm:999 absent',
        `parcel_pay:${placed} running`,
      ],
    )
    const remaining = all.map((one) => one.remaining)
    for (const index of [0, 1, 6])
      assert.ok((remaining[index] as number) > HOUR_MS - 20_000 && (remaining[index] as number) <= HOUR_MS + 1_000)
    assert.ok((remaining[2] as number) <= -1_900)
    assert.deepEqual([remaining[3], remaining[4], remaining[5]], [null, null, null])
  })

  it('reads orders of several rules by one statement, and by one a second at most, however many ask', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, () => shop.parcel(HOUR_MS)))
    const placed = await shop.parcel(null, { status: 1 })
    await seen(`parcel_confirm=${ids[0]}`) // the model's first use
    const begunAt = performance.now()
    statements.length = 0
    const streams = await Promise.all(ids.map((id) => follow(`parcel_confirm=${id}&parcel_pay=${placed}`)))
    await waitUntil(() => streams.every(({ told }) => told.length === 2))
    await Promise.all(ids.map((id) => seen(`parcel_confirm=${id}`)))
    const seconds = (performance.now() - begunAt) / 1_000
    const reads = statements.filter((sql) => sql.includes('remaining_ms'))
    assert.ok(reads.length >= 1 && reads.length <= seconds + 1, `${reads.length} reads in ${seconds} s`)
    assert.ok(reads.some((sql) => sql.includes('parcel_confirm') && sql.includes('parcel_pay')))
  })

  it('tells a stream what changes, and no tick', async () => {
    const [one, two] = [await shop.parcel(HOUR_MS), await shop.parcel(HOUR_MS)]
    const stream = await follow(`parcel_confirm=${one},${two}`)
    assert.equal(stream.response.headers['content-type'], 'text/event-stream; charset=utf-8')
    assert.equal(stream.response.headers['x-accel-buffering'], 'no')
    assert.equal(stream.response.headers['cache-control'], 'no-store, no-transform')
    await waitUntil(() => stream.told.length === 2)
    assert.match(stream.lines[0] as string, /^retry: [1-5]\d{3}$/)
    await shop.timers.extend('parcel_confirm', one, '1h')
    await waitUntil(() => stream.told.length === 3)
    assert.ok((stream.told[2]?.remaining as number) > 1.9 * HOUR_MS)
    await shop.timers.pause('parcel_confirm', two)
    await waitUntil(() => stream.told.length === 4)
    await shop.timers.resume('parcel_confirm', two)
    await waitUntil(() => stream.told.length === 5)
    await shop.sql('UPDATE parcels SET status = 5 WHERE id = $1', [one])
    await waitUntil(() => stream.told.length === 6)
    assert.deepEqual(stream.states(), [
      `${one} running`,
      `${two} running`,
      `${one} running`,
      `${two} paused`,
      `${two} running`,
      `${one} ended`,
    ])
  })

  it('goes from running to settling to ended by itself, with a worker', async () => {
    const id = await shop.parcel(null)
    await shop.worker()
    await shop.timers.schedule('parcel_confirm', id, { after: 2_500 })
    const stream = await follow(`parcel_confirm=${id}`)
    await waitUntil(() => stream.told.at(-1)?.state === 'ended')
    assert.equal(stream.told[0]?.state, 'running')
  })

  it('says that a kind is held, and not why; and that a payment is checked where the rule asks before it settles', async () => {
    for (const sql of Holds.createSql(HOLDS_TABLE)) await shop.sql(sql)
    const id = await shop.parcel(HOUR_MS)
    const paid = await shop.parcel(null, { status: 3, placedAt: new Date(Date.now() - HOUR_MS) })
    await shop.timers.hold('parcel_confirm', { reason: 'the carrier is down', by: 'support' })
    const { text } = await now(`parcel_confirm=${id}&parcel_check=${paid}`)
    const [held, checked] = JSON.parse(text).countdowns as Seen[]
    assert.deepEqual([held?.state, held?.remaining, checked?.state], ['held', null, 'checking'])
    assert.doesNotMatch(text, /carrier|support/)
    const stream = await follow(`parcel_confirm=${id}`)
    await waitUntil(() => stream.told.at(-1)?.state === 'held')
    await shop.timers.release('parcel_confirm')
    await waitUntil(() => stream.told.at(-1)?.state === 'running')
  })

  it('goes on saying that a kind is held where its hold cannot be read for a while', async () => {
    for (const sql of Holds.createSql(HOLDS_TABLE)) await shop.sql(sql)
    await shop.timers.hold('parcel_confirm', { reason: 'the carrier is down', by: 'support' })
    const { row } = (shop.timers as unknown as { [RUNTIME]: Runtime })[RUNTIME].rule('parcel_confirm')
    const kinds = new HeldKinds(0)
    const isHeld = () => kinds.isHeld('parcel_confirm', row as NonNullable<typeof row>)
    const { entries } = kinds as unknown as { entries: Map<string, { reading?: Promise<void> }> }
    assert.equal(await isHeld(), true)
    const other = await shop.database.connect()
    await other.query(`BEGIN; LOCK TABLE ${HOLDS_TABLE} IN ACCESS EXCLUSIVE MODE`)
    try {
      await isHeld()
      await entries.get('parcel_confirm')?.reading
      assert.equal(await isHeld(), true)
    } finally {
      await other.query('ROLLBACK')
    }
    await shop.timers.release('parcel_confirm')
    await waitUntil(async () => !(await isHeld()))
  })

  it("shows another customer's order as one that does not exist", async () => {
    const [own, other] = [await shop.parcel(HOUR_MS), await shop.parcel(HOUR_MS)]
    authorize = async (_req, _kind, id) => id === String(own)
    const [first, second] = await seen(`parcel_confirm=${own},${other}`)
    assert.equal(first?.state, 'running')
    const [absent] = await seen(`parcel_confirm=${other + 100}`)
    assert.deepEqual({ ...second, id: '' }, { ...absent, id: '' })
    const [, , noId] = await seen(`parcel_confirm=${own},${other},tea`)
    assert.deepEqual({ ...noId, id: '' }, { ...absent, id: '' })
    assert.deepEqual(asked.slice(0, 2).sort(), [`parcel_confirm:${own}`, `parcel_confirm:${other}`].sort())
  })

  it('keeps no stream open for orders of others, nor for orders that do not exist, and asks about nothing that can be no id', async () => {
    const [own, other] = [await shop.parcel(HOUR_MS), await shop.parcel(HOUR_MS)]
    authorize = (_req, _kind, id) => id !== String(other)
    const ends = async (query: string) => {
      const stream = await follow(query)
      await once(stream.response, 'end')
      assert.ok(stream.told.length > 0 && stream.told.every(({ state }) => state === 'absent'))
      return stream.lines.map((line) => line.replaceAll(/\d+/g, '0'))
    }
    const [denied, absent] = await Promise.all([ends(`parcel_confirm=${other}`), ends(`parcel_confirm=${other + 100}`)])
    assert.deepEqual(denied, absent)
    const lines = await ends('parcel_confirm=tea,0,-1,1e3,2147483648')
    assert.match(lines.at(-1) as string, /^retry: 0$/)
    assert.deepEqual(asked.sort(), [`parcel_confirm:${other}`, `parcel_confirm:${other + 100}`].sort())
    const stream = await follow(`parcel_confirm=${other},${own}`)
    await waitUntil(() => stream.told.length === 2)
    await shop.timers.extend('parcel_confirm', own, '1h')
    await waitUntil(() => stream.told.length === 3)
  })

  it('takes anything but true as a no', async () => {
    const id = await shop.parcel(HOUR_MS)
    for (const answer of ['yes', 1, undefined, {}]) {
      authorize = () => answer as boolean
      assert.equal((await seen(`parcel_confirm=${id}`))[0]?.state, 'absent')
    }
    for (const failing of [() => Promise.reject(new Error('no session')), () => assert.fail('no session')]) {
      authorize = failing
      assert.equal((await seen(`parcel_confirm=${id}`))[0]?.state, 'absent')
    }
  })

  it('says in one line of the log what is wrong with authorize, however many ids a customer chooses', async () => {
    authorize = () => Promise.reject(new Error('no session'))
    await seen(`parcel_confirm=${Array.from({ length: 50 }, (_, index) => index + 1)}`)
    authorize = () => 'yes' as unknown as boolean
    await seen('parcel_confirm=1')
    assert.deepEqual(logged, [
      'countdown: "authorize" threw (no session); this order and 49 more of the request were not shown',
      'countdown: "authorize" must answer true or false within 10 s, got "yes"; the order was not shown',
    ])
  })

  it('stops asking if the shop does not answer, or the customer is gone', async () => {
    const runtime = (shop.timers as unknown as { [RUNTIME]: Runtime })[RUNTIME]
    const wishes = wishesIn(`parcel_confirm=${Array.from({ length: 50 }, (_, index) => index + 1)}`, runtime)
    const asked: string[] = []
    const never = (_req: unknown, _kind: string, id: string) => new Promise<boolean>(() => asked.push(id))
    const none = await new Permissions(never, runtime.log, 50).of({} as Request, wishes, () => false)
    assert.deepEqual([none.size, asked.length], [0, 5])
    assert.match(
      logged.at(-1) as string,
      /got undefined; this order and 4 more .* not shown, and the rest of the request was not asked about$/,
    )
    const slow = async (_req: unknown, _kind: string, id: string) => asked.push(id) > 0
    const few = await new Permissions(slow, runtime.log).of({} as Request, wishes, () => asked.length >= 20)
    assert.ok(few.size <= 20, String(few.size))
  })

  it('asks again whether a stream may show its orders', async () => {
    const id = await shop.parcel(HOUR_MS)
    const runtime = (shop.timers as unknown as { [RUNTIME]: Runtime })[RUNTIME]
    const permissions = new Permissions((req, kind, of) => authorize(req, kind, of), runtime.log)
    const streams = new Streams(new Looks(runtime), permissions, runtime.log, { askAgainMs: 100 })
    const other = await listen(
      express().get('/countdown/stream', async (req, res) => {
        const wishes = wishesIn(`parcel_confirm=${id}`, runtime)
        streams.add(req, res, wishes, await permissions.of(req, wishes, () => res.destroyed))
      }),
    )
    try {
      const stream = await follow('', other.url)
      await waitUntil(() => stream.told.at(-1)?.state === 'running')
      authorize = () => false
      await waitUntil(() => stream.told.at(-1)?.state === 'absent')
      authorize = () => true
      await waitUntil(() => stream.told.at(-1)?.state === 'running')
    } finally {
      streams.close()
      await other.close()
    }
  })

  it('refuses a stream where too many orders are watched, and takes it when another has ended', async () => {
    const ids = await Promise.all([1, 2, 3].map(() => shop.parcel(HOUR_MS)))
    const runtime = (shop.timers as unknown as { [RUNTIME]: Runtime })[RUNTIME]
    const permissions = new Permissions(() => true, runtime.log)
    const streams = new Streams(new Looks(runtime), permissions, runtime.log, { mostWatched: 4 })
    const other = await listen(
      express().get('/countdown/stream', async (req, res) => {
        const wishes = wishesIn(req.url.slice(req.url.indexOf('?') + 1), runtime)
        try {
          streams.add(req, res, wishes, await permissions.of(req, wishes, () => res.destroyed))
        } catch (error) {
          res.status((error as { status: number }).status).end()
        }
      }),
    )
    try {
      const first = await follow(`parcel_confirm=${ids.join()}`, other.url)
      assert.equal((await follow(`parcel_confirm=${ids.slice(1).join()}`, other.url)).response.statusCode, 503)
      first.response.destroy()
      await waitUntil(async () => (await follow(`parcel_confirm=${ids.slice(1).join()}`, other.url)).response.statusCode === 200)
    } finally {
      streams.close()
      await other.close()
    }
  })

  it('answers others, and its process goes on, where more orders are asked for at once than are read', async () => {
    const id = await shop.parcel(HOUR_MS)
    const runtime = (shop.timers as unknown as { [RUNTIME]: Runtime })[RUNTIME]
    const looks = new Looks(runtime)
    const many = Array.from({ length: 20_001 }, (_, index) => ({ kind: 'parcel_confirm', id: String(index + 1_000) }))
    await assert.rejects(looks.at(many), /too many orders/)
    const { seen: found } = await looks.at([{ kind: 'parcel_confirm', id: String(id) }])
    assert.equal(found.get(`parcel_confirm:${id}`)?.state, 'running')
  })

  it('ends its streams with close(), of its own and of the timers, so that a server can close', async () => {
    const id = await shop.parcel(HOUR_MS)
    const stream = await follow(`parcel_confirm=${id}`)
    const ended = once(stream.response, 'close')
    router.close()
    await ended
    assert.equal((await send(`${server.url}/countdown/stream?parcel_confirm=${id}`)).status, 503)

    const second = countdown(shop.timers, { authorize: () => true })
    const other = await listen(express().use('/countdown', second))
    const open = await follow(`parcel_confirm=${id}`, other.url)
    const closed = Promise.all([once(open.response, 'close'), once(other.server, 'close')])
    other.server.close()
    await shop.timers.close()
    await closed
    await other.close().catch(() => {})
  })

  /** Streams of 100 orders whose deadlines move with each look, of which there are as many as the event loop allows. */
  async function restless(limits: ConstructorParameters<typeof Streams>[3] = {}) {
    const runtime = (shop.timers as unknown as { [RUNTIME]: Runtime })[RUNTIME]
    const wishes = wishesIn(`parcel_confirm=${Array.from({ length: 100 }, (_, index) => index + 1)}`, runtime)
    const count = { looks: 0 }
    const looks = {
      at: async () => {
        await new Promise(setImmediate)
        const remaining = HOUR_MS + ++count.looks * 10_000
        const seen = new Map(wishes.map(({ kind, id }) => [`${kind}:${id}`, { state: 'running', remaining, at: performance.now() }]))
        return { seen, unread: new Map() }
      },
    }
    const streams = new Streams(looks as unknown as Looks, new Permissions(() => true, runtime.log), runtime.log, limits)
    const answers: Response[] = []
    const other = await listen(
      express().get('/countdown/stream', (req, res) => {
        answers.push(res)
        streams.add(req, res, wishes, new Set(wishes))
      }),
    )
    const stalled = async () => {
      const socket = connect(Number(new URL(other.url).port), '127.0.0.1').pause()
      socket.on('error', () => {}).write('GET /countdown/stream HTTP/1.1\r\nHost: shop\r\n\r\n')
      await waitUntil(() => answers.at(-1)?.writableNeedDrain)
      return socket
    }
    return { streams, count, answers, stalled, ...other }
  }

  it('keeps nothing for a customer who does not read, and sends the present state once the customer reads', async () => {
    const { streams, count, answers, stalled, close } = await restless()
    try {
      const socket = await stalled()
      const unsent = (answers[0] as Response).writableLength
      const looks = count.looks
      await waitUntil(() => count.looks > looks + 200)
      assert.equal(answers[0]?.writableLength, unsent)
      assert.ok(unsent < 100_000, String(unsent))
      let last = 0
      socket.on('data', (chunk) => {
        for (const [, remaining] of String(chunk).matchAll(/"remaining":(\d+)\}/g)) last = Number(remaining)
      })
      const now = HOUR_MS + count.looks * 10_000
      socket.resume()
      await waitUntil(() => last > now)
      socket.destroy()
    } finally {
      streams.close()
      await close()
    }
  })

  it('disconnects a customer who still does not read', async () => {
    const { streams, answers, stalled, close } = await restless({ beatMs: 100 })
    try {
      const socket = await stalled()
      await waitUntil(() => answers[0]?.destroyed)
      socket.destroy()
    } finally {
      streams.close()
      await close()
    }
  })

  it('ends with close() also where a customer does not read, and a browser would keep its connection', async () => {
    const { streams, server: other, url, stalled, close } = await restless()
    const agent = new Agent({ keepAlive: true })
    try {
      const socket = await stalled()
      const [response] = (await once(httpRequest(`${url}/countdown/stream`, { agent }).end(), 'response')) as [IncomingMessage]
      response.resume()
      const closed = once(other, 'close')
      other.close()
      streams.close()
      const begunAt = performance.now()
      await closed
      const seconds = (performance.now() - begunAt) / 1_000
      assert.ok(seconds < 4, `${seconds} s`)
      socket.destroy()
    } finally {
      agent.destroy()
      await close().catch(() => {})
    }
  })

  it('streams through compression as it comes, whatever is accepted, and has its answers compressed', async () => {
    const id = await shop.parcel(HOUR_MS)
    const compressing = await listen(
      express()
        .use(compression({ threshold: 0 }))
        .use('/countdown', router),
    )
    try {
      const headers = { 'Accept-Encoding': 'gzip', Accept: 'application/json' }
      const request = httpRequest(`${compressing.url}/countdown/stream?parcel_confirm=${id}`, { agent: false, headers }).end()
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      readers.push(response)
      assert.equal(response.headers['content-encoding'], undefined)
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', () => {})
      await waitUntil(() => text.includes('"state":"running"'))
      const answered = await fetch(`${compressing.url}/countdown/now?parcel_confirm=${id}`, {
        headers: { ...headers, Accept: 'text/html' },
      })
      assert.equal(answered.headers.get('content-encoding'), 'gzip')
      assert.equal(((await answered.json()) as { countdowns: Seen[] }).countdowns[0]?.state, 'running')
    } finally {
      router.close()
      await compressing.close()
    }
  })

  it('goes on after Postgres did not answer', async () => {
    const id = await shop.parcel(HOUR_MS)
    const stream = await follow(`parcel_confirm=${id}`)
    await waitUntil(() => stream.told.length === 1)
    await shop.sql('ALTER TABLE parcels RENAME TO gone')
    const failed = await now(`parcel_confirm=${id}`)
    assert.equal(failed.status, 503)
    assert.equal(failed.json.error.message, 'the countdowns cannot be read at present')
    assert.equal(logged.length, 1, logged.join('\n'))
    await shop.sql('ALTER TABLE gone RENAME TO parcels')
    await shop.sql('UPDATE parcels SET status = 5')
    await waitUntil(() => stream.told.at(-1)?.state === 'ended')
  })

  it('tells the shop of orders that cannot be read, also where nobody has a stream open', async () => {
    const id = await shop.parcel(HOUR_MS)
    await seen(`parcel_confirm=${id}`)
    await shop.sql('ALTER TABLE parcels RENAME TO gone')
    for (let times = 0; times < 2; times += 1) assert.equal((await now(`parcel_confirm=${id}`)).status, 503)
    assert.equal(logged.length, 1, logged.join('\n'))
    assert.match(logged[0] as string, /^countdown: the orders that are watched could not be read \(relation "parcels" does not exist\)/)
  })

  it('shows the orders of one rule while those of another cannot be read', async () => {
    const two = await openParcels((Parcel, sequelize) => {
      const Cart = sequelize.define('Cart', { status: DataTypes.INTEGER, dueAt: DataTypes.DATE }, { tableName: 'carts', timestamps: false })
      return {
        parcel_confirm: transition(Parcel, { from: 4, to: 5, deadline: 'dueAt', after: '24h' }),
        cart_release: transition(Cart, { from: 1, to: 0, deadline: 'dueAt', after: '1h' }),
      }
    })
    const both = await listen(express().use('/countdown', countdown(two.timers, { authorize: (_req, _kind, id) => id !== '404' })))
    const statusOf = async (query: string) => (await send(`${both.url}/countdown/now?${query}`)).status
    try {
      const id = await two.parcel(HOUR_MS)
      const stream = await follow(`parcel_confirm=${id}&cart_release=77`, both.url)
      await waitUntil(() => stream.told.length > 0)
      const statuses = [statusOf(`parcel_confirm=${id}`), statusOf('cart_release=77'), statusOf('cart_release=404')]
      assert.deepEqual(await Promise.all(statuses), [200, 503, 200])
      assert.deepEqual(stream.states(), [`${id} running`])
      await two.sql('CREATE TABLE carts (id serial PRIMARY KEY, status int, "dueAt" timestamptz)')
      await two.sql(`INSERT INTO carts VALUES (77, 1, now() + interval '1 hour')`)
      await waitUntil(() => stream.states().includes('77 running'))
      const other = await two.database.connect()
      await other.query('BEGIN; LOCK TABLE carts IN ACCESS EXCLUSIVE MODE')
      await two.sql('UPDATE parcels SET status = 5')
      await waitUntil(() => stream.states().includes(`${id} ended`))
      await other.query('ROLLBACK')
      assert.deepEqual(stream.states(), [`${id} running`, '77 running', `${id} ended`])
    } finally {
      for (const reader of readers.splice(0)) reader.destroy()
      await both.close()
      await two.close()
    }
  })

  it('refuses what it cannot answer', async () => {
    const ids = Array.from({ length: 101 }, (_, index) => index + 1).join()
    const refused = async (path: string, method = 'GET') => {
      const { status, json } = await send(`${server.url}/countdown/${path}`, { method })
      return [status, json.error.code]
    }
    assert.deepEqual(await refused('now'), [400, 'NO_ORDERS'])
    assert.deepEqual(await refused(`now?parcel_confirm=${ids}`), [400, 'TOO_MANY_ORDERS'])
    for (const kind of ['nothing', 'parcel_ship', '__proto__']) assert.deepEqual(await refused(`stream?${kind}=1`), [400, 'UNKNOWN_KIND'])
    assert.deepEqual(await refused('tea'), [404, 'NOTHING_HERE'])
    assert.deepEqual(await refused('now?parcel_confirm=1', 'POST'), [405, 'METHOD'])
    assert.equal((await send(`${server.url}/countdown/stream?parcel_confirm=1`, { method: 'HEAD' })).status, 200)
    assert.deepEqual(asked, [])
  })

  it('serves its element, under 3 kB', async () => {
    const { headers, text } = await send(`${server.url}/countdown/order-countdown.js`)
    assert.equal(headers['content-type'], 'text/javascript; charset=utf-8')
    assert.ok(Buffer.byteLength(text) < 3_000, String(Buffer.byteLength(text)))
    assert.match(text, /customElements\.define\("order-countdown"/)
  })

  it('serves on Express 4', async () => {
    const id = await shop.parcel(HOUR_MS)
    const older = await listen(express4().use('/countdown', router))
    try {
      assert.equal((await send(`${older.url}/countdown/now?parcel_confirm=${id}`)).json.countdowns[0].state, 'running')
    } finally {
      await older.close()
    }
  })

  it('cannot be made without authorize, nor of anything but timers', () => {
    for (const options of [undefined, {}, { authorize: true }, { authorize: () => true, streams: 5 }]) {
      assert.throws(() => countdown(shop.timers, options as never), { code: 'ERR_ORDER_TIMERS_INVALID_OPTION' })
    }
    assert.throws(() => countdown({} as never, { authorize: () => true }), /must be timers/)
  })
})
