import assert from 'node:assert/strict'
import type { Client } from 'pg'
import { leftInRedis, pruneRedisAct } from '../../../lib/admin/actions/prune-redis.js'
import { type Duration, type Rules, startExpiryWorker, transition } from '../../../lib/index.js'
import { LeftSets } from '../../../lib/redis/left-sets.js'
import { PROCESSES_TABLE, ProcessesTable } from '../../../lib/rows/processes-table.js'
import type { Database } from '../../support/database.js'
import { bury } from '../../support/dead-letters.js'
import { RedisServer } from '../../support/redis-server.js'
import { refused } from '../../support/refused.js'
import { runtimeOf } from '../../support/runtime.js'
import { makeTimers, watched } from '../../support/shop.js'
import { waitUntil } from '../../support/waiting.js'
import { type ActingShop, openActingShop, SUPPORT } from './acting.js'

const rules = ({ Order }: Pick<Database, 'Order'>) => ({
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
})
const FORMER = { order_former: () => {} }

describe('pruning what removed rules have left in Redis', function () {
  this.timeout(30_000)
  let shop: ActingShop<ReturnType<typeof rules>>

  const open = async (redisUrl?: string) => {
    shop = await openActingShop(rules, redisUrl === undefined ? {} : { redisUrl })
  }
  afterEach(() => shop.close())

  const other = <R extends Rules>(declared: R) => makeTimers(declared, { redis: shop.redis.url, prefix: shop.redis.prefix })
  const leave = async (ids: number[], after: Duration = '1h') => {
    const former = other(FORMER)
    for (const id of ids) await former.schedule('order_former', id, { after })
    await former.close()
  }
  /** Without what the process notes of itself, whenever it first does. */
  const names = async () => {
    const ofProcess = ['order-timers:layout', 'order-timers:processes'].map(shop.key)
    return (await shop.redis.client.keys(shop.key('*'))).filter((name) => !ofProcess.includes(name)).sort()
  }
  const left = async (...kinds: string[]) =>
    (await leftInRedis(shop.runtime, kinds)).map(({ kind, armed, dead }) => ({ kind, armed, dead }))
  const prune = (kinds: string[] = [], dropTimers = true) => pruneRedisAct(shop.runtime, { kinds, dropTimers }, SUPPORT)

  it('removes the timers with their own keys, and no key of another service, and records it', async () => {
    await open()
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id, { after: '1h' })
    const before = await names()
    const ids = Array.from({ length: 1_200 }, (_, i) => i)
    await Promise.all([leave(ids.slice(0, 700)), leave(ids.slice(700))])
    await bury(shop.redis.client, shop.key('order-timers:{order_former}:failures'), [5_000], 'no stock')
    await shop.redis.client.set(shop.key('order_former:9999'), '1', 'EX', 3_600)
    assert.deepEqual(await left(), [{ kind: 'order_former', armed: 1_200, dead: 1 }])
    assert.equal((await prune())[0]?.armed, 1_200)
    assert.deepEqual(await names(), [...before, shop.key('order_former:9999')].sort())
    assert.deepEqual(await left(), [])
    const [entry, ...others] = await shop.recorded()
    assert.deepEqual([entry?.action, entry?.kind, entry?.state, entry?.count, others], ['prune --redis', 'order_former', 'done', 1_201, []])
    assert.deepEqual(await prune(), [])
  })

  it('publishes no expiry event, even for keys that Redis has not found to be expired yet', async () => {
    const server = await RedisServer.start(['--enable-debug-command', 'yes', '--notify-keyspace-events', 'Ex'])
    await open(server.url)
    const { client } = shop.redis
    await client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    const heard: string[] = []
    const listener = client.duplicate()
    listener.on('message', (_, name: string) => heard.push(name))
    await listener.subscribe('__keyevent@0__:expired')
    await leave([34], 1)
    await waitUntil(async () => (await left())[0]?.armed === 1)
    await prune()
    await client.set('last', '1', 'PX', 1)
    await waitUntil(async () => (await client.exists('last')) === 0)
    await waitUntil(() => heard.includes('last'))
    assert.deepEqual(heard, ['last'])
    listener.disconnect()
    await shop.redis.client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '1')
    await server.stop()
  })

  it('refuses timers that may be only in Redis, unless they are to be lost; not those of which rows have the deadlines', async () => {
    await open()
    const { Order } = shop.database
    await leave([34])
    const { code, message } = await refused(() => prune([], false))
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_ACTION')
    assert.match(message, /order_former: timers: 1, dead letters: 0; perhaps they are only in Redis.*--drop-timers/)
    assert.deepEqual([await left(), await shop.recorded()], [[{ kind: 'order_former', armed: 1, dead: 0 }], []])
    await prune(['order_former'])
    const onRows = other({ order_ship: transition(Order, { from: 4, to: 6, deadline: 'confirmDueAt', after: '24h' }) })
    const worker = watched(startExpiryWorker(onRows, { fallback: '* * * * * *' }))
    await worker.ready
    await onRows.schedule('order_ship', await shop.order({ status: 4 }), { after: '1h' })
    await waitUntil(async () => (await shop.redis.client.exists(shop.key('order-timers:{order_ship}:read'))) === 1)
    await worker.stop()
    await onRows.close()
    assert.deepEqual(
      (await prune([], false)).map(({ kind, onRows }) => [kind, onRows]),
      [['order_ship', true]],
    )
    assert.deepEqual(await left(), [])
  })

  it('never touches a kind of its own module, or of a living process', async () => {
    await open()
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id, { after: '1h' })
    const former = other(FORMER)
    await former.schedule('order_former', 34, { after: '1h' })
    const worker = watched(startExpiryWorker(former, { fallback: false }))
    await worker.ready
    await waitUntil(async () => (await shop.redis.client.hlen(shop.key('order-timers:processes'))) > 0)
    assert.deepEqual(await left(), [])
    assert.deepEqual(await prune(), [])
    assert.match((await refused(() => prune(['order_former']))).message, /order_former: the living process \S+ has this rule; end it/)
    assert.match((await refused(() => prune(['order_confirm']))).message, /order_confirm: it is a rule of the module/)
    assert.equal(await shop.redis.client.zcard(shop.key('order-timers:{order_former}:due')), 1)
    await worker.stop()
    await former.close()
    assert.deepEqual(await left(), [{ kind: 'order_former', armed: 1, dead: 0 }])
  })

  it('looks for living processes in Postgres too, and refuses if it may not', async () => {
    await open()
    const { client } = shop.database
    await leave([34])
    for (const sql of ProcessesTable.createSql(PROCESSES_TABLE)) await client.query(sql)
    await client.query(`INSERT INTO order_timers_processes (id, prefix, layout, host, pid, version, role, started_at, beat_at, own_clock, rules)
      VALUES ('a:1:b', '${shop.redis.prefix}', 2, 'a', 1, '0.1.0', 'web', now(), now() - interval '1 minute', now(), '{"order_former":"x"}')`)
    assert.match((await refused(() => prune(['order_former']))).message, /the living process a:1 has this rule/)
    await client.query("UPDATE order_timers_processes SET beat_at = now() - interval '10 minutes'")
    assert.deepEqual(await left(), [{ kind: 'order_former', armed: 1, dead: 0 }])
    const role = `${shop.database.schema}_blind`
    await client.query(`CREATE ROLE ${role}; GRANT USAGE ON SCHEMA ${shop.database.schema} TO ${role};
      GRANT ALL ON ALL TABLES IN SCHEMA ${shop.database.schema} TO ${role}; REVOKE SELECT ON order_timers_processes FROM ${role}`)
    const blind = shop.database.connectSequelize()
    blind.sequelize.addHook('afterConnect', (connection) => (connection as Client).query(`SET ROLE ${role}`) as never)
    const blindTimers = makeTimers(rules(blind), { redis: shop.redis.url, prefix: shop.redis.prefix })
    const blindly = await refused(() => pruneRedisAct(runtimeOf(blindTimers), { kinds: [], dropTimers: true }, SUPPORT))
    await blindTimers.close()
    await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    assert.equal(blindly.code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    assert.match(blindly.message, /may not read \S*order_timers_processes.*; GRANT SELECT ON/)
    await client.query('ALTER TABLE order_timers_processes RENAME COLUMN rules TO other')
    assert.ok(await refused(() => prune()))
    assert.equal(await shop.redis.client.zcard(shop.key('order-timers:{order_former}:due')), 1)
  })

  it('does not say that nothing is left if the look takes too long', async () => {
    await open()
    await leave([1])
    const { byKind } = LeftSets.prototype
    LeftSets.prototype.byKind = async () => undefined
    try {
      const { code, message } = await refused(() => prune())
      assert.equal(code, 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE')
      assert.match(message, /takes longer than 10 minutes; nothing was removed/)
    } finally {
      LeftSets.prototype.byKind = byKind
    }
  })

  it('refuses while Redis refuses writes, since no process has a heartbeat there', async () => {
    const server = await RedisServer.start()
    await open(server.url)
    await leave([34])
    await shop.redis.client.config('SET', 'maxmemory', '1')
    assert.equal((await refused(() => prune())).code, 'ERR_ORDER_TIMERS_REDIS_REFUSES')
    await shop.redis.client.config('SET', 'maxmemory', '0')
    assert.equal((await prune()).length, 1)
    await server.stop()
  })
})
