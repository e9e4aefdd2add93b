import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler, type Response } from 'express'
import request from 'supertest'
import { orderTimers, startExpiryWorker, transition } from '../../lib/index.js'
import { openDatabase, sequelizeOn } from '../support/database.js'
import { freePort } from '../support/free-port.js'
import { defineOrder } from '../support/order.js'
import { RedisServer } from '../support/redis-server.js'
import { refusal, refused } from '../support/refused.js'
import { makeTimers, openShop, type Shop, watched } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { TcpProxy } from '../support/tcp-proxy.js'

const required = (name: string) => createRequire(import.meta.url)(name) as typeof express
const VERSIONS: [string, typeof express][] = [
  ['Express 4.17', required('express-oldest')],
  ['Express 4', required('express4')],
  ['Express 5', express],
]

/** Express 5 hands a rejection to the error handler by itself, Express 4 wants it handed on. */
const route =
  (handle: (req: Request, res: Response) => Promise<unknown>): RequestHandler =>
  (req, res, next) => {
    handle(req, res).catch(next)
  }

const answerError: ErrorRequestHandler = (error, _req, res, next) => {
  if (res.headersSent) return next(error)
  res.status(error.status ?? 500).json({ error: error.expose ? error.message : 'something went wrong', code: error.code })
}

for (const [version, framework] of VERSIONS) {
  describe(`the middleware in ${version}`, () => {
    let shop: Shop<OneOfEach>

    beforeEach(async () => {
      shop = await openShop(oneOfEach)
    })

    afterEach(() => shop.close())

    /** Whether a request to the path finds these timers on its `req`. */
    const attached = async (app: Express, path = '/') => {
      app.use((req, res) => void res.json(req.orderTimers === (shop.timers as unknown)))
      return (await request(app).get(path).expect(200)).body as boolean
    }

    /** A worker finds these timers on the app, before any request, and settles by them. */
    const findBy = async (app: Express) => {
      const id = await shop.order({ status: 4 })
      await shop.timers.schedule('order_confirm', id, { at: Date.now() - 1000 })
      const worker = watched(startExpiryWorker(app))
      await worker.ready
      await worker.stop()
      assert.equal(await shop.statusOf(id), 5)
    }

    it('puts the timers on each request, where a route schedules with them', async () => {
      const app = framework()
      app.use(shop.timers)
      app.post(
        '/orders/:id/ship',
        route(async (req, res) => {
          assert.equal(req.orderTimers, shop.timers)
          const { deadline, armed } = await req.orderTimers.schedule('order_confirm', req.params.id as string)
          res.json({ deadline, armed })
        }),
      )
      const id = await shop.order({ status: 4 })
      const { body } = await request(app).post(`/orders/${id}/ship`).expect(200)
      assert.equal(body.armed, true)
      assert.equal((await shop.database.Order.findByPk(id))?.confirmDueAt?.toISOString(), body.deadline)
    })

    it('calls next once, and leaves url, baseUrl and app of the request as they were', async () => {
      const app = framework()
      let calls = 0
      app.use('/shop', shop.timers)
      app.get('/shop/orders', (req, res) => {
        calls += 1
        res.json({ baseUrl: req.baseUrl, url: req.url, ours: req.app === app })
      })
      const { body } = await request(app).get('/shop/orders?page=2').expect(200)
      assert.deepEqual([calls, body], [1, { baseUrl: '', url: '/shop/orders?page=2', ours: true }])
    })

    it('is found by the worker before any request, mounted plainly, under a path, or in an array', async () => {
      const other: RequestHandler = (_req, _res, next) => next()
      const mounts: [string, (app: Express) => unknown][] = [
        ['/', (app) => app.use(shop.timers)],
        ['/shop/x', (app) => app.use('/shop', shop.timers)],
        ['/b', (app) => app.use(['/a', '/b'], shop.timers)],
        ['/', (app) => app.use([other, [shop.timers]] as never)],
        ['/', (app) => app.use(other, shop.timers, other)],
      ]
      for (const [path, mount] of mounts) {
        const app = framework()
        mount(app)
        await findBy(app)
        assert.ok(await attached(app, path), String(mount))
      }
    })

    it('is found on an app that it is mounted below, however deep, and on an app below one that has it', async () => {
      const below = framework()
      const sub = framework()
      const app = framework()
      sub.use(shop.timers)
      below.use('/sub', sub)
      app.use('/below', below)
      for (const one of [sub, below, app]) await findBy(one)

      const above = framework()
      const child = framework()
      above.use(shop.timers)
      above.use(child)
      for (const one of [above, child]) await findBy(one)
      child.get('/', (req, res) => void res.json(req.orderTimers === (shop.timers as unknown)))
      assert.equal((await request(above).get('/')).body, true)
    })

    it('is found on an app that it is mounted below after the apps were mounted on each other', async () => {
      const sub = framework()
      const app = framework()
      app.use('/sub', sub)
      sub.use(shop.timers)
      await findBy(app)
    })

    it('mounted twice is one', async () => {
      const app = framework()
      app.use('/a', shop.timers)
      app.use('/b', shop.timers)
      await findBy(app)
    })

    it('leaves alone what the shop has changed of the request and the response before', async () => {
      const replace = (value: unknown): RequestHandler => {
        return (req, _res, next) => {
          Object.assign(req, { app: value })
          next()
        }
      }
      const other = framework()
      const before: [string, RequestHandler][] = [
        ['nothing', (_req, _res, next) => next()],
        ['an object as req.app', replace({ db: 'shop' })],
        ['a frozen object as req.app', replace(Object.freeze({ db: 'shop' }))],
        ['undefined as req.app', replace(undefined)],
        ['text as req.app', replace('shop')],
        ['another app as req.app', replace(other)],
        [
          'an object as res.app',
          (_req, res, next) => {
            Object.assign(res, { app: { db: 'shop' } })
            next()
          },
        ],
        [
          'prototypes of its own',
          (req, res, next) => {
            Object.setPrototypeOf(req, Object.create(Object.getPrototypeOf(req)))
            Object.setPrototypeOf(res, Object.create(Object.getPrototypeOf(res)))
            next()
          },
        ],
      ]
      const mounts: ((app: Express) => unknown)[] = [
        (app) => app.use(shop.timers),
        (app) => app.use('/', shop.timers),
        (app) => app.use([(_req, _res, next) => next(), shop.timers] as RequestHandler[]),
        (app) => app.use(framework.Router().use(shop.timers)),
      ]
      const state = (req: Request, res: Response) => [
        ...[req.app, res.app, Object.getPrototypeOf(req), Object.getPrototypeOf(res)],
        ...[req.url, req.baseUrl, res.getHeaderNames().join()],
      ]
      for (const [title, change] of before) {
        for (const mount of mounts) {
          const app = framework()
          let seen: unknown[] = []
          app.use(change)
          app.use((req, res, next) => {
            seen = state(req, res)
            next()
          })
          mount(app)
          app.use((req, res) => {
            const now = state(req, res)
            assert.deepEqual(
              now.map((value, i) => value === seen[i]),
              now.map(() => true),
            )
            assert.equal(req.orderTimers, shop.timers)
            res.statusCode = 204
            res.end()
          })
          const { status, text } = await request(app).get('/')
          assert.equal(status, 204, `${title}, ${mount}: ${text}`)
        }
      }
    })

    it('mounted leaves nothing of Express on the timers, and the app as it was to use', async () => {
      const app = framework()
      app.set('trust proxy', true).set('etag', false)
      const before = Object.keys(shop.timers)
      app.use(shop.timers)
      assert.deepEqual(Object.keys(shop.timers), before)
      const sub = framework()
      sub.get('/', (req, res) => void res.json([req.app === sub, req.baseUrl]))
      app.use('/sub', sub)
      app.get('/', (req, res) => void res.json([req.app === app, req.ip]))
      assert.deepEqual((await request(app).get('/sub')).body, [true, '/sub'])
      const { body, headers } = await request(app).get('/').set('X-Forwarded-For', '10.0.0.7')
      assert.deepEqual([body, headers.etag], [[true, '10.0.0.7'], undefined])
    })

    it('works on a router, where the worker asks for the timers themselves', async () => {
      const app = framework()
      const router = framework.Router()
      router.use(shop.timers)
      app.use(router)
      assert.ok(await attached(app))
      const message =
        'startExpiryWorker: no timers are mounted on this app; add app.use(orderTimers({ redis, rules })) before, or pass the timers themselves: startExpiryWorker(timers)'
      assert.deepEqual(await refused(() => startExpiryWorker(app)), refusal('NOT_MOUNTED', 500, message))
    })

    it('hands errors to the error handler, with status, code and a text that may be shown', async () => {
      const app = framework()
      app.use(shop.timers)
      const call = (handle: (req: Request) => Promise<unknown>) => route(async (req, res) => void res.json(await handle(req)))
      app.get(
        '/kind/:kind/:id',
        call((req) => req.orderTimers.schedule(req.params.kind as string, req.params.id as string)),
      )
      app.get(
        '/closed/:id',
        call((req) => req.orderTimers.remaining('order_confirm', req.params.id as string)),
      )
      app.use(answerError)
      const id = await shop.order({ status: 1 })
      const answers: [string, number, string, string][] = [
        [
          `/kind/order_cofirm/${id}`,
          400,
          'UNKNOWN_KIND',
          'orderTimers: there is no rule "order_cofirm"; the rules are "order_confirm", "order_pay", "order_ship", "order_other"',
        ],
        [
          '/kind/order_confirm/1;DROP',
          400,
          'INVALID_ID',
          `orderTimers: order_confirm: the order must be an id of Order.id's type, or an instance of Order, got "1;DROP"`,
        ],
        ['/kind/order_confirm/999', 404, 'ORDER_NOT_FOUND', 'orderTimers: order_confirm: there is no Order "999"'],
        [
          `/kind/order_confirm/${id}`,
          409,
          'ORDER_NOT_IN_FROM',
          `orderTimers: order_confirm: Order "${id}" has status 1; the rule applies to "4"`,
        ],
      ]
      for (const [path, status, name, error] of answers) {
        await request(app)
          .get(path)
          .expect(status, { error, code: `ERR_ORDER_TIMERS_${name}` })
      }
      await shop.timers.close()
      await request(app).get(`/closed/${id}`).expect(503, { error: 'something went wrong', code: 'ERR_ORDER_TIMERS_CLOSED' })
    })

    it('mounted without a call says so with the first request', async () => {
      const app = framework()
      app.use(orderTimers as unknown as RequestHandler)
      let error: unknown
      const note: ErrorRequestHandler = (caught, _req, res, _next) => {
        error = caught
        res.sendStatus(caught.status)
      }
      app.use(note)
      await request(app).get('/').expect(500)
      const message =
        'orderTimers: this is the function that makes the middleware; write app.use(orderTimers({ redis, rules })), not app.use(orderTimers)'
      assert.deepEqual(await refused(() => Promise.reject(error)), refusal('NOT_CALLED', 500, message))
    })

    it('answers with armed: false, in the median within 250 ms, while Redis is down or frozen', async () => {
      const redis = await RedisServer.start()
      const proxy = await TcpProxy.start(redis.port)
      const timers = makeTimers(oneOfEach(shop.database), { redis: `redis://127.0.0.1:${proxy.port}`, prefix: shop.redis.prefix })
      await timers.check()
      const app = framework()
      app.use(timers)
      app.get(
        '/:id',
        route(async (req, res) => void res.json((await req.orderTimers.schedule('order_confirm', req.params.id as string)).armed)),
      )
      const server = app.listen(0)
      const ask = async () => {
        const id = await shop.order({ status: 4 })
        const startedAt = performance.now()
        const { body } = await request(server).get(`/${id}`).expect(200)
        const ms = performance.now() - startedAt
        assert.notEqual((await shop.database.Order.findByPk(id))?.confirmDueAt, null)
        return { armed: body, ms }
      }
      await ask()
      assert.equal((await ask()).armed, true)
      proxy.silence()
      const answers = [await ask(), await ask(), await ask()]
      await redis.kill()
      proxy.refuse()
      answers.push(await ask(), await ask())
      for (const { armed } of answers) assert.equal(armed, false)
      const times = answers.map(({ ms }) => ms).sort((a, b) => a - b)
      assert.ok((times[2] as number) < 250 && (times[4] as number) < 2000, `${times} ms`)
      await timers.close()
      server.close()
      await proxy.stop()
      await redis.stop()
    })

    it('answers 503 while Postgres is away or has no connection to spare', async () => {
      const away = sequelizeOn(`postgres://postgres@127.0.0.1:${await freePort()}/postgres`, 'public')
      const busy = sequelizeOn(shop.database.url, shop.database.schema, { pool: { max: 1, acquire: 500 } })
      for (const sequelize of [away, busy]) {
        const rules = { order_confirm: transition(defineOrder(sequelize), { from: 4, to: 5, deadline: 'confirmDueAt', after: '1h' }) }
        const timers = makeTimers(rules, { redis: false })
        const app = framework()
        app.use(timers)
        app.get(
          '/',
          route(async (req, res) => void res.json(await req.orderTimers.schedule('order_confirm', 1))),
        )
        app.use(answerError)
        const holder = sequelize === busy ? await busy.transaction() : undefined
        await request(app).get('/').expect(503, { error: 'something went wrong', code: 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE' })
        await holder?.rollback()
        await timers.close()
        await sequelize.close()
      }
    })
  })
}

describe('startExpiryWorker', () => {
  const forms = 'pass the timers themselves: startExpiryWorker(timers)'
  const notMounted = (message: string) => refusal('NOT_MOUNTED', 500, `startExpiryWorker: ${message}`)

  it('refuses an app without timers, and shows the missing line and the other form', async () => {
    for (const [, framework] of VERSIONS) {
      const message = `no timers are mounted on this app; add app.use(orderTimers({ redis, rules })) before, or ${forms}`
      assert.deepEqual(await refused(() => startExpiryWorker(framework())), notMounted(message))
    }
  })

  it('refuses what is neither an app nor timers', async () => {
    for (const [given, shown] of [
      [undefined, 'undefined'],
      [null, 'null'],
      [34, '34'],
      ['app', '"app"'],
      [{}, '{}'],
      [orderTimers, '[Function: orderTimers]'],
    ] as const) {
      assert.deepEqual(
        await refused(() => startExpiryWorker(given)),
        notMounted(`this must be an Express app or timers, got ${shown}; ${forms}`),
      )
    }
  })

  it('refuses to choose between two timers on one app, and takes either when it is passed', async () => {
    const rules = { order_other: async () => {} }
    for (const [, framework] of VERSIONS) {
      const [first, second] = [makeTimers(rules, { redis: false }), makeTimers(rules, { redis: false })]
      const app = framework()
      const sub = framework()
      sub.use(first)
      app.use(sub)
      app.use(second)
      const message = `2 timers are mounted on this app, and it is not clear which are meant; ${forms}`
      assert.deepEqual(await refused(() => startExpiryWorker(app)), notMounted(message))
      await startExpiryWorker(second).stop()
      await Promise.all([first.close(), second.close()])
    }
  })

  it('throws for a model that is wrong, and for nothing that is down', async () => {
    const database = await openDatabase()
    const wrong = makeTimers({ order_confirm: transition(database.Order, { from: 4, to: 5, deadline: 'note' }) }, { redis: false })
    assert.equal((await refused(() => startExpiryWorker(wrong))).code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    await wrong.close()
    const away = sequelizeOn(`postgres://postgres@127.0.0.1:${await freePort()}/postgres`, 'public')
    const rules = { order_confirm: transition(defineOrder(away), { from: 4, to: 5, deadline: 'confirmDueAt' }) }
    const timers = makeTimers(rules, { redis: `redis://127.0.0.1:${await freePort()}` })
    const worker = watched(startExpiryWorker(timers))
    await worker.ready
    assert.deepEqual(worker.faultsTold.map(({ code }) => code).sort(), ['REDIS_UNAVAILABLE', 'SWEEP_FAILED'])
    assert.equal(worker.health().status, 'degraded')
    await worker.stop()
    await timers.close()
    await away.close()
    await database.close()
  })
})
