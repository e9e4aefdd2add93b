// The admin page's router: who is let in, from where acts are accepted, what its headers say, and where it can be mounted.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import express from 'express'
// @ts-expect-error: it has the types of Express 5
import express4 from 'express4'
import { type Status, status, type Trouble } from '../../lib/admin/status.js'
import { type AdminOptions, orderTimersAdmin } from '../../lib/admin-page/index.js'
import { STREAMS, type Streams } from '../../lib/admin-page/streams.js'
import { bury } from '../support/dead-letters.js'
import { Lines } from '../support/lines.js'
import { runtimeOf } from '../support/runtime.js'
import { inTime, waitUntil } from '../support/waiting.js'
import { type AdminShop, listen, MOUNT, openAdminShop, send } from './admin-shop.js'

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
}

describe('the admin page', () => {
  let shop: AdminShop
  let authorize: AdminOptions['authorize']
  const asked: unknown[] = []

  before(async () => {
    shop = await openAdminShop({
      admin: {
        authorize: (req, question) => authorize(req, question),
        origins: ['https://admin.example.com'],
      },
    })
  })

  after(() => shop.close())

  beforeEach(() => {
    asked.length = 0
    authorize = (_req, question) => {
      asked.push(question)
      return { user: 'support', can: 'act' }
    }
  })

  const order = async (after = '1h' as const) => {
    const id = await shop.order({ status: 4 })
    const { deadline } = await shop.timers.schedule('order_confirm', id, { after })
    return { id: String(id), deadline: deadline?.getTime() }
  }
  const cancel = async (headers: Record<string, string>) => {
    const one = await order()
    const answer = await shop.ask('act', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ action: 'cancel', kind: 'order_confirm', orders: [one] }),
    })
    const remaining = await shop.timers.remaining('order_confirm', one.id)
    assert.equal(remaining === null, answer.status === 200, 'the answer says whether it was done')
    return answer.status
  }

  describe('is created', () => {
    const refused = (timers: unknown, options: unknown, message: RegExp) =>
      assert.throws(() => orderTimersAdmin(timers as never, options as never), { code: 'ERR_ORDER_TIMERS_INVALID_OPTION', message })

    it('only with a function that says who may read', () => {
      refused(shop.timers, {}, /"authorize" must be a function/)
      refused(shop.timers, undefined, /options as an object/)
      refused(shop.timers, { authorize: true }, /"authorize" must be a function.*got true/)
    })

    it('only for timers', () => refused(() => {}, { authorize: () => false }, /first argument must be timers/))

    it('only with known options and valid values', () => {
      refused(shop.timers, { authorise: () => false }, /authorise/)
      refused(shop.timers, { authorize: () => false, show: ['id'] }, /"show" must be a function/)
      for (const origins of [
        'https://a.example',
        ['a.example'],
        ['https://a.example/'],
        ['https://a.example/path'],
        ['ftp://a.example'],
        ['null'],
      ])
        refused(shop.timers, { authorize: () => false, origins }, /"origins" must/)
    })
  })

  describe('answers', () => {
    const everything = [
      '',
      'app.js',
      'app.css',
      'icon.svg',
      'data/now',
      'data/due',
      'data/late',
      'data/stuck',
      'data/order?id=1',
      'data/processes',
      'data/actions',
    ]

    it('each request with strict headers, errors too', async () => {
      for (const path of [...everything, 'nothing', 'data/nothing', 'data/due?kind=nothing', '/admin/order-timers?view=due']) {
        const { headers, status } = await shop.ask(path)
        assert.equal(headers['content-security-policy'], CSP, path)
        for (const [name, value] of Object.entries(HEADERS)) assert.equal(headers[name], value, `${path} ${name}`)
        assert.equal(status, path.includes('nothing') ? 404 : path.includes('?view') ? 302 : 200, path)
      }
    })

    it('nothing if "authorize" refuses, or answers anything unexpected', async () => {
      const answers: unknown[] = [
        false,
        undefined,
        null,
        true,
        'support',
        {},
        { user: 'support' },
        { can: 'read' },
        { user: '', can: 'act' },
      ]
      answers.push({ user: 'support', can: 'admin' }, { user: 7, can: 'act' }, { user: 'a'.repeat(201), can: 'read' }, ['support', 'act'])
      for (const answer of answers) {
        authorize = () => answer as never
        assert.equal((await shop.ask('data/now')).status, 403, JSON.stringify(answer))
      }
      authorize = () => {
        throw new Error('no session')
      }
      for (const path of [...everything, 'stream']) assert.equal((await shop.ask(path)).status, 403, path)
      authorize = () => Promise.reject(new Error('no database'))
      assert.deepEqual((await shop.ask('data/now')).json.error.code, 'REFUSED')
    })

    it('an action only to those that may act, and asks with action, rule and number of orders', async () => {
      authorize = (_req, question) => {
        asked.push(question)
        return { user: 'night shift', can: 'read' }
      }
      const [one, two] = [await order(), await order()]
      const answer = await shop.act({ action: 'extend', kind: 'order_confirm', orders: [one, two], by: '1h' })
      assert.equal(answer.status, 403)
      assert.equal(answer.json.error.code, 'READ_ONLY')
      assert.deepEqual(asked, [{ action: 'extend', kind: 'order_confirm', count: 2 }])
      assert.equal((await shop.ask('data/due?kind=order_confirm')).status, 200)
      assert.deepEqual(asked.at(-1), { action: 'read', kind: 'order_confirm', count: 0 })
      const { json } = await shop.ask(`data/order?id=${one.id}`)
      assert.equal(json.data.kinds[0].row.deadline, one.deadline)
    })

    it('a look having asked about the rule that the answer is limited to, whatever else the request names', async () => {
      const rules = { 'data/due?kind=order_pay': 'order_pay', 'data/actions?kind=order_pay': 'order_pay', 'data/stuck': 'order_confirm' }
      const all = [
        '',
        'data/now?kind=order_pay',
        'data/order?id=1&kind=order_pay',
        'data/late?kind=order_pay',
        'data/due?kind=',
        'data/due',
      ]
      for (const [path, kind] of [...Object.entries(rules), ...all.map((path) => [path, undefined] as const)]) {
        asked.length = 0
        await shop.askOnce(path)
        assert.deepEqual(asked, [{ action: 'read', kind, count: 0 }], path)
      }
    })

    it('orders without columns where `show` gives none at once, which is logged, and ends nothing', async () => {
      const log = new Lines()
      const show = async () => {
        throw new Error('no session')
      }
      const other = await openAdminShop({ admin: { show: show as never }, logger: log })
      try {
        for (const _ of [1, 2]) await other.timers.schedule('order_confirm', await other.order({ status: 4 }), { after: '1h' })
        const { orders } = (await other.askOnce('data/due')).json.data
        assert.deepEqual(
          orders.map(({ columns }: { columns: unknown }) => columns),
          [[], []],
        )
        const lines = log.all.filter(({ fields }) => fields.code === 'ADMIN_SHOW').map(({ message }) => message)
        const why = 'it must return an object of headings and values at once, got a promise'
        assert.deepEqual(lines, [`orderTimersAdmin: "show" failed (${why}); 2 of 2 orders are shown without columns`])
      } finally {
        await other.close()
      }
    })

    it('other methods with the allowed ones', async () => {
      const { status, headers } = await shop.ask('', { method: 'DELETE' })
      assert.equal(status, 405)
      assert.equal(headers.allow, 'GET, HEAD, POST')
      const head = await shop.ask('', { method: 'HEAD' })
      assert.equal(head.text, '')
      assert.ok(Number(head.headers['content-length']) > 100)
    })

    it('in the language that is asked for', async () => {
      const langOf = async (path: string, accepted: string) =>
        /<html lang="([^"]+)"/.exec((await shop.ask(path, { headers: { 'accept-language': accepted } })).text)?.[1]
      assert.equal(await langOf('', 'en-GB,en'), 'en')
      assert.equal(await langOf('', 'zh-TW,zh;q=0.9'), 'zh-TW')
      assert.equal(await langOf('?lang=en', 'zh-TW'), 'en')
      assert.equal(await langOf('?lang=%22%3E%3Cscript%3E', 'en'), 'en')
    })
  })

  it('says what `order-timers status` says', async () => {
    const other = await openAdminShop()
    try {
      const { client } = other.database
      const compare = async (codes: string[]) => {
        const withoutFigures = ({ headline, troubles }: Pick<Status, 'headline' | 'troubles'>) => [
          headline.replace(/\d[\d.:TZ-]*/g, '#'),
          ...troubles.map(({ level, code, message, remedy }) => `${level} ${code} ${message} ${remedy}`.replace(/\d[\d.:TZ-]*/g, '#')),
        ]
        const page = await waitUntil(
          async () => {
            const now = (await other.ask('data/now')).json.data
            return now.troubles.map(({ code }: Trouble) => code).join() === codes.join() && now
          },
          { what: codes.join() },
        )
        assert.deepEqual(withoutFigures(page), withoutFigures(await status(runtimeOf(other.timers))))
      }
      await compare(['NO_WORKER'])
      await other.order({ status: 4, confirmDueAt: new Date(Date.now() - 200_000) })
      await other.order({ status: 4, confirmDueAt: new Date(Date.now() - 9 * 86_400_000) })
      const locked = await other.order({ status: 4, confirmDueAt: new Date(Date.now() - 100_000) })
      const dead = await other.order({ status: 4, confirmDueAt: new Date(Date.now() - 300_000) })
      await bury(other.redis.client, other.key('order-timers:{order_confirm}:failures'), [dead])
      const holder = await other.database.connect()
      await holder.query(`SET application_name = 'nightly report'; BEGIN`)
      await holder.query('UPDATE orders SET note = $1 WHERE id = $2', ['held', locked])
      await waitUntil(async () => (await status(runtimeOf(other.timers))).troubles.some(({ code }) => code === 'ROW_LOCKED'))
      await compare(['NO_WORKER', 'OVERDUE', 'ROW_LOCKED', 'DEAD_LETTERS', 'STALE'])
      await holder.query('ROLLBACK')
      await client.query(`INSERT INTO order_timers_brakes (kind, braked_at) VALUES ('order_confirm', now())`)
      await compare(['NO_WORKER', 'BRAKED', 'DEAD_LETTERS', 'STALE'])
      await client.query('DELETE FROM order_timers_brakes; DELETE FROM orders')
      await other.redis.client.del(
        other.key('order-timers:{order_confirm}:failures'),
        other.key('order-timers:{order_confirm}:failures:dead'),
      )
      await other.worker()
      await compare([])
      await client.query('ALTER TABLE orders RENAME COLUMN "confirmDueAt" TO gone')
      await waitUntil(async () => (await other.ask('data/now')).json.data.headline.startsWith('✘ INVALID MODEL: order_confirm'))
    } finally {
      await other.close()
    }
  })

  it('counts what is overdue behind more dead letters than it counts', async () => {
    const other = await openAdminShop()
    try {
      const { client } = other.database
      const insert = (count: number, since: string) =>
        client.query<{ id: number }>(
          `INSERT INTO orders (status, "confirmDueAt", "createdAt", "updatedAt") SELECT 4, now() - interval '${since}', now(), now() FROM generate_series(1, ${count}) RETURNING id`,
        )
      const dead = (await insert(10_500, '2 hours')).rows.map(({ id }) => id)
      await insert(3, '1 hour')
      await bury(other.redis.client, other.key('order-timers:{order_confirm}:failures'), dead)
      const { counts } = (await other.ask('data/now')).json.data.kinds[0]
      assert.deepEqual([counts.dead, counts.overdue], [10_500, 3])
      const { orders } = (await other.ask('data/stuck?kind=order_confirm&state=overdue')).json.data
      assert.equal(orders.length, 3)
    } finally {
      await other.close()
    }
  })

  describe('accepts an action', () => {
    it('from the page itself', async () => assert.equal(await cancel({ 'sec-fetch-site': 'same-origin' }), 200))

    it('from no other site, whatever Origin says', async () => {
      for (const site of ['cross-site', 'same-site', 'none', 'same-origin, same-origin', '']) {
        assert.equal(await cancel({ 'sec-fetch-site': site, origin: 'https://admin.example.com' }), 403, site)
      }
    })

    it('by Origin where a browser sends no Sec-Fetch-Site', async () => {
      assert.equal(await cancel({ origin: 'https://admin.example.com' }), 200)
      assert.equal(await cancel({ origin: new URL(shop.url).origin }), 200)
      for (const origin of ['https://evil.example', 'null', 'https://admin.example.com.evil.example', 'http://admin.example.com'])
        assert.equal(await cancel({ origin }), 403, origin)
      assert.equal(await cancel({}), 403)
      assert.equal(await cancel({ origin: 'https://shop.example', 'x-forwarded-host': 'shop.example', 'x-forwarded-proto': 'https' }), 403)
    })

    it('only as valid JSON', async () => {
      const one = await order()
      const wish = { action: 'cancel', kind: 'order_confirm', orders: [one] }
      assert.equal((await shop.act(wish, { 'content-type': 'text/plain' })).status, 415)
      assert.equal((await shop.act('{"action":')).status, 400)
      assert.equal((await shop.act('[]')).status, 400)
      assert.equal((await shop.act(`"${'x'.repeat(200_000)}"`)).status, 413)
      for (const wrong of [
        { action: 'read' },
        { action: 'constructor' },
        { kind: 7 },
        { orders: [] },
        { orders: ['1'] },
        { orders: [{ id: one.id }] },
        { orders: [{ id: one.id, deadline: '2026-01-01' }] },
        { orders: Array.from({ length: 201 }, () => one) },
        { by: 7 },
        { reason: {} },
        { kind: 'nothing' },
        { action: 'settle unverified' },
        { action: 'settle unverified', reason: 'a rule without verify' },
      ]) {
        const { status } = await shop.act({ ...wish, ...wrong })
        assert.equal(status, 400, JSON.stringify(wrong))
      }
      assert.ok((await shop.timers.remaining('order_confirm', one.id)) !== null)
    })

    it('and records who did it, and reports the outcome of each order', async () => {
      const [one, two] = [await order(), await order()]
      await shop.timers.extend('order_confirm', two.id, '1h')
      const { json } = await shop.act({ action: 'cancel', kind: 'order_confirm', orders: [one, two], reason: 'a test' })
      assert.deepEqual(
        json.orders.map(({ id, outcome }: { id: string; outcome: string }) => [id, outcome]),
        [
          [one.id, 'done'],
          [two.id, 'skipped'],
        ],
      )
      const { actions } = (await shop.ask(`data/actions?order=${one.id}`)).json.data
      assert.deepEqual([actions[0].actor, actions[0].via, actions[0].reason, actions[0].action], ['support', 'page', 'a test', 'cancel'])
    })
  })

  it('is read-only without the table of actions, and says so', async () => {
    const other = await openAdminShop({ recorded: false })
    try {
      const id = await other.order({ status: 4 })
      await other.timers.schedule('order_confirm', id)
      assert.equal((await other.ask('data/now')).json.recording, 'no table')
      const { status, json } = await other.act({ action: 'cancel', kind: 'order_confirm', orders: [{ id, deadline: null }] })
      assert.equal(status, 500)
      assert.match(json.error.message, /migration/)
      assert.ok(await other.timers.remaining('order_confirm', id))
    } finally {
      await other.close()
    }
  })

  /** A short body has arrived as a whole by then, and nobody has read it. */
  const slowly: express.RequestHandler = (_req, _res, next) => void setTimeout(next, 50)

  describe('is mounted', () => {
    const apps = { 'Express 5': express, 'Express 4': express4 as unknown as typeof express }
    for (const [name, make] of Object.entries(apps)) {
      const parsers = {
        'without a body parser': [],
        'behind a log-in that takes a while': [slowly],
        'behind express.json': [make.json()],
        'behind express.raw': [make.raw({ type: () => true })],
        'behind express.text': [make.text({ type: () => true })],
        'behind urlencoded': [make.urlencoded({ extended: false })],
      }
      for (const [how, before] of Object.entries(parsers)) {
        it(`on ${name}, ${how}`, async () => {
          const app = make()
          app.use(...before, (_req, _res, next) => next())
          app.use(MOUNT, shop.admin)
          const server = await listen(app)
          try {
            const one = await order()
            const answer = await send(`${server.url}${MOUNT}/act`, {
              method: 'POST',
              headers: { 'content-type': 'application/json', origin: server.url },
              body: JSON.stringify({ action: 'extend', kind: 'order_confirm', orders: [one], by: '1h' }),
            })
            assert.equal(answer.status, 200, answer.text)
            assert.equal(answer.json.count, 1)
          } finally {
            await server.close()
          }
        })
      }

      it(`on ${name} in a router, behind a proxy that is trusted`, async () => {
        const app = make()
        app.set('trust proxy', 'loopback')
        const router = make.Router()
        router.use('/timers', shop.admin)
        app.use('/internal', router)
        const server = await listen(app)
        try {
          const forwarded = { 'x-forwarded-host': 'shop.example:8443', 'x-forwarded-proto': 'https' }
          const from = (origin: string) =>
            send(`${server.url}/internal/timers/act`, {
              method: 'POST',
              headers: { 'content-type': 'application/json', origin, ...forwarded },
              body: '{}',
            })
          assert.equal((await from('https://shop.example:8443')).status, 400) // accepted, and wrong
          assert.equal((await from('https://shop.example')).status, 403)
          const redirected = await send(`${server.url}/internal/timers?view=late`)
          assert.equal(redirected.headers.location, './timers/?view=late')
        } finally {
          await server.close()
        }
      })
    }
  })

  describe('is live', () => {
    /** The events of a stream, as they come. */
    const stream = async (url = shop.url) => {
      const request = httpRequest(new URL('stream', url), { agent: false }).end()
      const [response] = await once(request, 'response')
      const events: { event: string; data: string }[] = []
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        const parts = text.split('\n\n')
        text = parts.pop() as string
        for (const part of parts) {
          const lines = part.split('\n')
          assert.equal(lines.length, 2, part)
          events.push({ event: (lines[0] as string).replace('event: ', ''), data: (lines[1] as string).replace('data: ', '') })
        }
      })
      response.on('error', () => {})
      const ended = new Promise<void>((resolve) => response.on('close', resolve))
      return { status: response.statusCode, headers: response.headers, events, ended, end: () => request.destroy() }
    }

    it('by events with the present state, again and again', async () => {
      const live = await stream()
      assert.equal(live.headers['content-type'], 'text/event-stream; charset=utf-8')
      assert.equal(live.headers['content-security-policy'], CSP)
      await waitUntil(() => live.events.length >= 2)
      const news = JSON.parse(live.events[1]?.data ?? '')
      assert.equal(news.kinds.length, 3)
      live.end()
      await live.ended
    })

    it('for twenty at most', async () => {
      const lives = await Promise.all(Array.from({ length: 20 }, () => stream()))
      assert.ok(lives.every(({ status }) => status === 200))
      const { status, json } = await shop.ask('stream')
      assert.equal(status, 503)
      assert.equal(json.error.code, 'TOO_MANY_STREAMS')
      for (const live of lives) live.end()
      await Promise.all(lives.map(({ ended }) => ended))
      const next = await waitUntil(async () => {
        const live = await stream()
        return live.status === 200 ? live : undefined
      })
      next.end()
      await next.ended
    })

    it('until the right to read is gone, which is checked again and again; an action is refused at once', async () => {
      const { times } = Reflect.get(shop.admin, STREAMS) as Streams
      const { askAgainMs } = times
      times.askAgainMs = 50
      try {
        const live = await stream()
        await waitUntil(() => live.events.length > 0)
        const one = await order()
        asked.length = 0
        await waitUntil(() => asked.length >= 3)
        assert.deepEqual(asked[0], { action: 'read', kind: undefined, count: 0 })
        authorize = () => false
        const { status, json } = await shop.act({ action: 'cancel', kind: 'order_confirm', orders: [one] })
        assert.deepEqual([status, json.error.code], [403, 'REFUSED'])
        await inTime(live.ended, 5_000, 'the stream to end')
        assert.equal(live.events.at(-1)?.event, 'refused')
        assert.ok(await shop.timers.remaining('order_confirm', one.id))
      } finally {
        times.askAgainMs = askAgainMs
      }
    })

    it('until the router is closed, or the timers', async () => {
      const other = await openAdminShop()
      try {
        const live = await stream(other.url)
        await waitUntil(() => live.events.length > 0)
        void other.timers.close()
        await inTime(live.ended, 5_000, 'the stream to end')
        assert.equal(live.events.at(-1)?.event, 'closed')
        assert.equal((await other.ask('stream')).status, 503)
      } finally {
        await other.close()
      }
    })
  })
})
