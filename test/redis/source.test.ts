import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { Redis, type RedisOptions } from 'ioredis'
import { type OrderTimersOptions, orderTimers } from '../../lib/index.js'
import { OURS } from '../../lib/redis/own-options.js'
import { Presence } from '../../lib/redis/presence.js'
import type { RedisSource } from '../../lib/redis/single-source.js'
import { parseRedisSource } from '../../lib/redis/source.js'
import type { RuntimeRedis } from '../../lib/timers/runtime.js'
import { enter } from '../support/opened.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

const { Redis: Redis5 } = createRequire(import.meta.url)('ioredis5') as { Redis: typeof Redis }
const url = () => process.env.REDIS_URL as string
const address = () => ({ host: '127.0.0.1', port: Number(new URL(url()).port) })

const GIVING_UP = {
  ...{ retryStrategy: () => null, maxRetriesPerRequest: 0, commandTimeout: 1, readOnly: true, enableReadyCheck: false },
  ...{ socketTimeout: 1, enableAutoPipelining: true, stringNumbers: true, showFriendlyErrorStack: true, noDelay: false },
}

/** Its duplicates are as it is, whatever is asked for. */
class OwnRedis extends Redis {
  override duplicate(): Redis {
    return new OwnRedis(this.options as never)
  }
}

/** The forms that a shop may give its Redis in, with the key prefix and the db that its own commands would have. */
const FORMS: [title: string, redis: () => OrderTimersOptions['redis'], own?: { keyPrefix?: string; db?: number }][] = [
  ['a URL', url],
  ['a URL of db 1', () => `${url()}/1`, { db: 1 }],
  ['a URL with keyPrefix', () => `${url()}?keyPrefix=shop:`, { keyPrefix: 'shop:' }],
  [
    'a URL that would switch our safety off',
    () => `${url()}?socketTimeout=1&enableOfflineQueue=true&autoResubscribe=true&lazyConnect=&commandTimeout=1&db=1`,
    { db: 1 },
  ],
  ['host and port', () => url().replace('redis://', '')],
  ['a port', () => address().port],
  ['options', address],
  ['options that would give up, wait or read alone', () => ({ ...address(), ...GIVING_UP })],
  ['a client with such options', () => client({ ...GIVING_UP, lazyConnect: true } as RedisOptions)],
  ['a client of a class of the shop’s with keyPrefix', () => client({ keyPrefix: 'shop:' }, OwnRedis), { keyPrefix: 'shop:' }],
  ['options with db and keyPrefix', () => ({ ...address(), db: 1, keyPrefix: 'shop:' }), { db: 1, keyPrefix: 'shop:' }],
  ['a client', () => client({})],
  ['a client of db 1', () => client({ db: 1 }), { db: 1 }],
  ['a client with keyPrefix', () => client({ keyPrefix: 'shop:' }), { keyPrefix: 'shop:' }],
  ['a client with lazyConnect', () => client({ lazyConnect: true })],
  ['a client with enableAutoPipelining', () => client({ enableAutoPipelining: true })],
  ['a client with stringNumbers', () => client({ stringNumbers: true })],
  ['a client with protocol 2', () => client({ protocol: 2 })],
  ['a client with protocol 3', () => client({ protocol: 3 })],
  ['a client that gives up at once', () => client({ retryStrategy: () => null, maxRetriesPerRequest: 0, enableOfflineQueue: false })],
  [
    'a client that would subscribe again by itself',
    () => client({ autoResubscribe: true, enableReadyCheck: false, connectionName: 'shop' }),
  ],
  ['a client that is closed', () => closed(client({ lazyConnect: true }))],
  ['a client of ioredis 5', () => client({}, Redis5)],
  [
    'a client of ioredis 5 with keyPrefix and stringNumbers',
    () => client({ keyPrefix: 'shop:', stringNumbers: true }, Redis5),
    { keyPrefix: 'shop:' },
  ],
]

const clients: { client: Redis; strikeOut: () => void }[] = []

function client(options: RedisOptions, Client = Redis): Redis {
  const made = new Client({ ...address(), ...options } as never) as Redis
  made.on('error', () => {})
  clients.push({ client: made, strikeOut: enter('a client of the shop', async () => made.disconnect()) })
  return made
}

function closed(one: Redis): Redis {
  one.disconnect()
  return one
}

describe('the option "redis"', () => {
  afterEach(() => {
    for (const { client, strikeOut } of clients.splice(0)) {
      client.disconnect()
      strikeOut()
    }
  })

  for (const [title, make, { keyPrefix = '', db = 0 } = {}] of FORMS) {
    it(`may be ${title}: own timers and external keys are settled`, async () => {
      const redis = make()
      const shop = await openShop(oneOfEach, { redis })
      const worker = await shop.worker({ fallback: false })
      const [ours, theirs] = [await shop.order({ status: 4 }), await shop.order({ status: 2 })]
      const others = client({ db })
      await others.set(`${keyPrefix}${shop.key(`order_ship:${theirs}`)}`, '1', 'PX', 120)
      assert.equal((await shop.timers.schedule('order_confirm', ours, { after: 120 })).armed, true)
      assert.equal(await others.exists(`${keyPrefix}${shop.key(`order_confirm:${ours}`)}`), 1)
      await waitUntil(() => worker.settled.length === 2)
      assert.deepEqual(worker.settled.map(({ kind, id, via }) => [kind, id, via]).sort(), [
        ['order_confirm', String(ours), 'alarm'],
        ['order_ship', String(theirs), 'event'],
      ])
      assert.deepEqual([worker.health().redis?.events, worker.faultsTold], [true, []])
      await shop.close()
    })
  }

  it('may be of an ioredis whose replies the shop transforms', async () => {
    const transformers = Reflect.get(Redis.Command, '_transformer').reply as Record<string, (reply: unknown) => unknown>
    const before = transformers.hgetall as (reply: unknown) => unknown
    const shop = await openShop(oneOfEach)
    const failure = { attempts: 25, error: 'no', at: new Date(0).toISOString(), dead: true }
    await shop.redis.client.hset(shop.key('order-timers:{order_other}:failures'), { 7: JSON.stringify(failure) })
    Redis.Command.setReplyTransformer('hgetall', (reply) => new Map(reply as never))
    try {
      assert.deepEqual(await shop.timers.dead('order_other'), [
        { kind: 'order_other', id: '7', error: 'no', attempts: 25, at: new Date(0), firstError: 'no', firstAt: new Date(0) },
      ])
      await shop.worker({ fallback: false })
      const { connection } = runtimeOf(shop.timers).redis as RuntimeRedis
      const presence = new Presence(connection, runtimeOf(shop.timers).keys)
      await waitUntil(async () => (await presence.read(1_000)).processes.length === 1, { what: 'the process of the worker' })
    } finally {
      Redis.Command.setReplyTransformer('hgetall', before)
    }
    await shop.close()
  })

  it("leaves the shop's own client as it was: usable, unsubscribed, open", async () => {
    const own = client({ keyPrefix: 'shop:' })
    const shop = await openShop(oneOfEach, { redis: own })
    await shop.worker()
    await shop.timers.schedule('order_other', 7, { after: '1h' })
    await shop.close()
    assert.equal(own.status, 'ready')
    assert.equal(await own.ping(), 'PONG')
    assert.deepEqual(own.options.keyPrefix, 'shop:')
    assert.deepEqual(await own.client('INFO').then((info) => /sub=(\d+) psub=(\d+)/.exec(String(info))?.slice(1)), ['0', '0'])
  })

  it('closes every connection that it opened, and none before the first use', async () => {
    const redis = client({})
    const name = `express-order-timers`
    const connections = async () =>
      String(await redis.client('LIST'))
        .split('\n')
        .filter((line) => line.includes(` name=${name}`)).length
    const before = await connections()
    const shop = await openShop(oneOfEach)
    assert.equal(await connections(), before)
    await shop.timers.check()
    assert.equal(await connections(), before + 1)
    await shop.worker()
    assert.equal(await connections(), before + 2)
    await shop.close()
    await waitUntil(async () => (await connections()) === before)
  })

  it('refuses a client of another package, without showing what is in it', async () => {
    class RedisClient {
      options = { password: 'geheim', url: 'redis://:geheim@cache' }
      isOpen = true
      duplicate() {
        return this
      }
    }
    const { code, message } = await refused(() => orderTimers({ rules: { order_other: () => {} }, redis: new RedisClient() as never }))
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
    assert.doesNotMatch(message, /geheim/)
  })
})

describe('the options that our promises depend on', () => {
  /** Another value of each option than ours. */
  const HOSTILE: Record<keyof typeof OURS, unknown> = {
    lazyConnect: false,
    keyPrefix: 'shop:',
    scripts: { orderTimersArm: { lua: 'return 1', numberOfKeys: 0 } },
    autoResubscribe: true,
    enableOfflineQueue: true,
    autoResendUnfulfilledCommands: true,
    maxRetriesPerRequest: null,
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    connectTimeout: 60_000,
    sentinelCommandTimeout: 60_000,
    disconnectTimeout: 60_000,
    socketTimeout: 0,
    commandTimeout: 1,
    blockingTimeout: 1,
    reconnectOnError: () => 2,
    enableReadyCheck: false,
    maxLoadingRetryTime: 60_000,
    readOnly: true,
    role: 'slave',
    enableAutoPipelining: true,
    stringNumbers: true,
    replyMapping: 'resp3',
    noDelay: false,
    showFriendlyErrorStack: true,
    monitor: true,
    himportFieldsets: [{ name: 'a', fields: ['b'] }],
  }
  const lazy = (options: object) => new Redis({ ...options, lazyConnect: true, monitor: false } as never)

  class ShopRedis extends Redis {
    override duplicate(): Redis {
      return new ShopRedis({ ...this.options, lazyConnect: true } as never)
    }
  }

  const forms: [string, (option: string, value: unknown) => unknown][] = [
    ['a URL', (option, value) => `redis://127.0.0.1:1?${new URLSearchParams({ [option]: String(value) })}`],
    ['the path of a socket', (option, value) => `/run/redis.sock?${new URLSearchParams({ [option]: String(value) })}`],
    ['host and port', (option, value) => `127.0.0.1:1?${new URLSearchParams({ [option]: String(value) })}`],
    ['options', (option, value) => ({ port: 1, [option]: value })],
    ['a client', (option, value) => Object.assign(lazy({ port: 1 }), { options: { ...lazy({ port: 1 }).options, [option]: value } })],
    ['a client made with it', (option, value) => lazy({ port: 1, [option]: value })],
    [
      'a client of a class of the shop’s',
      (option, value) =>
        Object.assign(new ShopRedis({ port: 1, lazyConnect: true }), {
          options: { ...lazy({ port: 1 }).options, [option]: value, lazyConnect: true },
        }),
    ],
  ]

  it('all have another value in this test', () => {
    assert.deepEqual(Object.keys(HOSTILE), Object.keys(OURS))
  })

  for (const [title, make] of forms) {
    it(`override those of the option "redis", given as ${title}`, () => {
      for (const [option, value] of Object.entries(HOSTILE)) {
        const source = parseRedisSource(make(option, value)) as RedisSource
        const client = source.create('test')
        const options = client.options as unknown as Record<string, unknown>
        for (const [name, ours] of Object.entries(OURS)) assert.deepEqual(options[name], ours, `${name} with ${option}`)
        assert.deepEqual(
          [client.status, options.connectionName, typeof Reflect.get(client, 'orderTimersArm')],
          ['wait', 'test', 'function'],
        )
        assert.equal(source.keyPrefix, option === 'keyPrefix' ? 'shop:' : '', option)
      }
    })
  }
})
