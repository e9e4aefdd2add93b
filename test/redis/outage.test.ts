import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { TimersHealth } from '../../lib/index.js'
import { freePort } from '../support/free-port.js'
import { Lines } from '../support/lines.js'
import { openRedis } from '../support/redis.js'
import { RedisServer } from '../support/redis-server.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop, type ShopOptions } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

describe('a web process whose timers Redis does not take', () => {
  let server: RedisServer
  let shop: Shop<OneOfEach>
  let lines: Lines

  const open = async (args: string[] = [], options: ShopOptions = {}) => {
    server = await RedisServer.start(args)
    lines = new Lines()
    shop = await openShop(oneOfEach, { redisUrl: server.url, logger: lines, ...options })
  }

  const schedule = async (times = 1): Promise<unknown[]> => {
    const ids = await Promise.all(Array.from({ length: times }, () => shop.order({ status: 4 })))
    return (await Promise.all(ids.map((id) => shop.timers.schedule('order_confirm', id, { after: '1h' })))).map(({ armed }) => armed)
  }
  const armed = async () => (await shop.redis.client.keys(`${shop.redis.prefix}order_confirm:*`)).length
  const told = () =>
    lines.all.filter(({ level }) => level === 'warn' || level === 'info' || level === 'error').map(({ level, message }) => [level, message])

  afterEach(async () => {
    await shop.close()
    await server.stop()
  })

  const where = () => `127.0.0.1:${server.port} db 0`

  it('says nothing while all is well, and where Redis is', async () => {
    await open()
    assert.deepEqual(shop.timers.health(), {
      status: 'ok',
      faults: [],
      redis: { where: where(), connected: false, kept: 0, dropped: 0 },
    } satisfies TimersHealth)
    assert.deepEqual(await schedule(), [true])
    assert.deepEqual([shop.timers.health().redis?.connected, told()], [true, []])
  })

  it('(it is down) says so once however many there are, with the reason, once more when it is over, and arms what was kept', async () => {
    await open()
    assert.deepEqual(await schedule(), [true])
    await server.kill()
    await waitUntil(() => !shop.timers.health().redis?.connected)
    assert.deepEqual(new Set(await schedule(30)), new Set([false]))
    const { status, faults, redis } = shop.timers.health()
    assert.deepEqual([status, redis], ['degraded', { where: where(), connected: false, kept: 30, dropped: 0 }])
    assert.deepEqual(
      faults.map(({ code, cause, remedy, since }) => [code, typeof cause, remedy, since instanceof Date]),
      [['REDIS_UNAVAILABLE', 'string', 'check that it runs and can be reached', true]],
    )
    await server.restart()
    await waitUntil(() => shop.timers.health().status === 'ok')
    await waitUntil(async () => (await armed()) === 30)
    assert.equal(shop.timers.health().redis?.kept, 0)
    assert.equal(told().length, 2, JSON.stringify(told()))
    assert.match(
      String(told()[0]),
      new RegExp(
        `^warn,REDIS_UNAVAILABLE: Redis at ${where()} does not answer \\(.+\\); timers are kept until it returns, and the sweep settles what comes due; check that`,
      ),
    )
    assert.deepEqual(told()[1], ['info', 'REDIS_UNAVAILABLE: over'])
  })

  it('(its memory is full) says so once, and arms what was kept within two seconds of its end', async () => {
    await open()
    assert.deepEqual(await schedule(), [true])
    await shop.redis.client.config('SET', 'maxmemory', '1')
    assert.deepEqual(new Set(await schedule(20)), new Set([false]))
    await waitUntil(() => shop.timers.health().faults.length)
    assert.deepEqual(
      shop.timers.health().faults.map(({ code }) => code),
      ['REDIS_REFUSES'],
    )
    assert.match(
      String(told()[0]),
      /^warn,REDIS_REFUSES: Redis at .+ refuses the command \(OOM .+\); timers are kept .+; raise "maxmemory"/,
    )
    await shop.redis.client.config('SET', 'maxmemory', '0')
    await waitUntil(async () => (await armed()) === 21, { within: 3000 })
    await waitUntil(() => shop.timers.health().status === 'ok')
    assert.deepEqual(
      told().map(([level]) => level),
      ['warn', 'info'],
    )
  })

  const others: [title: string, args: (primary: RedisServer) => string[], code: string, remedy: RegExp][] = [
    ["a cluster's node", () => ['--cluster-enabled', 'yes'], 'REDIS_UNUSABLE', /give its cluster/],
    ['a replica', ({ port }) => ['--replicaof', '127.0.0.1', String(port)], 'REDIS_UNUSABLE', /give the primary, or Sentinels/],
    ['another password', () => ['--requirepass', 'geheim'], 'REDIS_REFUSES', /give the user and the password in "redis"/],
    ['too few replicas', () => ['--min-replicas-to-write', '1'], 'REDIS_REFUSES', /min-replicas-to-write/],
  ]
  for (const [title, args, code, remedy] of others) {
    it(`(${title}) says ${code} with its remedy, and so do calls and check()`, async () => {
      const primary = await RedisServer.start()
      await open(args(primary))
      assert.deepEqual(await schedule(3), [false, false, false])
      await waitUntil(() => shop.timers.health().faults.some((one) => one.code === code))
      const fault = shop.timers.health().faults.find((one) => one.code === code)
      assert.match(fault?.message as string, remedy)
      assert.ok(shop.timers.health().faults.every(({ code }) => code !== 'REDIS_UNAVAILABLE'))
      const calls = [
        () => shop.timers.check(),
        () => shop.timers.schedule('order_other', 7, { after: '1h' }),
        () => shop.timers.schedule('order_other', 8, { at: new Date(Date.now() + 60_000) }),
      ]
      for (const call of calls) {
        const error = await refused(call)
        assert.match(error.message, remedy, String(call))
        assert.equal(error.code, `ERR_ORDER_TIMERS_${code}`, error.message)
        assert.doesNotMatch(error.message, /try again/)
      }
      await primary.stop()
    })
  }

  const clusterNode = async () => ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())]
  const clusterSays = (client: Redis, text: string) => waitUntil(async () => String(await client.cluster('INFO')).includes(text))

  it('(a cluster’s node that has every slot) says so, although it takes them', async () => {
    await open(await clusterNode())
    await shop.redis.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await clusterSays(shop.redis.client, 'cluster_state:ok')
    assert.deepEqual(await shop.timers.dead(), [])
    await waitUntil(() => shop.timers.health().faults.length)
    const [fault] = shop.timers.health().faults
    assert.equal(fault?.code, 'REDIS_UNUSABLE')
    assert.match(fault.message, new RegExp(`^Redis at ${where()} cannot serve: .*node of a cluster.*; give its cluster: .*$`))
  })

  it('(a cluster’s node whose neighbour has the slots: MOVED) says REDIS_UNUSABLE, and so do calls', async () => {
    await open(await clusterNode())
    const busPort = await freePort()
    const neighbour = await RedisServer.start(['--cluster-enabled', 'yes', '--cluster-port', String(busPort)])
    const other = await openRedis({ url: neighbour.url })
    await other.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await shop.redis.client.call('CLUSTER', 'MEET', '127.0.0.1', String(neighbour.port), String(busPort))
    await clusterSays(shop.redis.client, 'cluster_state:ok')
    assert.deepEqual(await schedule(3), [false, false, false])
    const error = await refused(() => shop.timers.schedule('order_other', 7, { after: '1h' }))
    assert.equal(error.code, 'ERR_ORDER_TIMERS_REDIS_UNUSABLE')
    assert.match(error.message, /MOVED .*; this is a node of a cluster; give its cluster: redis: \{ nodes: \["host:port"\] \}$/)
    await waitUntil(() => shop.timers.health().faults.length)
    assert.deepEqual(
      shop.timers.health().faults.map(({ code }) => code),
      ['REDIS_UNUSABLE'],
    )
    assert.equal(lines.of('warn').length, 1)
    await other.close()
    await neighbour.stop()
  })

  it('(a user with wrong rights, or none) says what is missing, never a password', async () => {
    await open()
    const name = `u${randomBytes(4).toString('hex')}`
    await shop.redis.client.acl('SETUSER', name, 'on', '>geheim', '~nothing:*', '&*', '+@all')
    const lines = new Lines()
    const as = async (password: string) => openShop(oneOfEach, { redis: { port: server.port, username: name, password }, logger: lines })
    for (const [password, remedy] of [
      ['falsch', /WRONGPASS.+; give the right user and password in "redis"/],
      ['geheim', /NOPERM.+; allow this user .+; docs\/redis\.md lists all rights that it needs/],
    ] as const) {
      const wrong = await as(password)
      const id = await wrong.order({ status: 4 })
      assert.equal((await wrong.timers.schedule('order_confirm', id)).armed, false)
      await waitUntil(() => wrong.timers.health().faults.length)
      const [fault] = wrong.timers.health().faults
      assert.equal(fault?.code, 'REDIS_REFUSES')
      assert.match(fault?.message as string, remedy)
      const error = await refused(() => wrong.timers.check())
      assert.deepEqual([error.code, remedy.test(error.message)], ['ERR_ORDER_TIMERS_REDIS_REFUSES', true])
      assert.doesNotMatch(JSON.stringify([lines.all, wrong.timers.health(), error]), /geheim|falsch/)
      await wrong.close()
    }
  })

  it('(there is no such db) says so, and writes to no other', async () => {
    await open()
    const wrong = await openShop(oneOfEach, { redis: `${server.url}/99` })
    const id = await wrong.order({ status: 4 })
    assert.equal((await wrong.timers.schedule('order_confirm', id)).armed, false)
    const error = await refused(() => wrong.timers.check())
    assert.equal(error.code, 'ERR_ORDER_TIMERS_REDIS_REFUSES')
    assert.match(error.message, /Redis at 127\.0\.0\.1:\d+ db 99 .*DB index is out of range\); name a db that this Redis has/)
    assert.equal(await shop.redis.client.dbsize(), 0)
    await server.restart(['--databases', '100'])
    await waitUntil(() => wrong.timers.health().status === 'ok')
    await waitUntil(async () => (await shop.redis.client.info('keyspace')).includes('db99'))
    await wrong.close()
  })

  it('(more of them than are kept) counts those that are dropped, and says so once', async () => {
    await open()
    const { arming } = runtimeOf(shop.timers).redis ?? {}
    assert.ok(arming)
    await schedule()
    await server.kill()
    await waitUntil(() => !shop.timers.health().redis?.connected)
    const rule = runtimeOf(shop.timers).rule('order_confirm')
    const at = Date.now() + 3_600_000
    for (let first = 1; first <= 5_010; first += 501)
      await Promise.all(Array.from({ length: 501 }, (_, i) => arming.arm(rule, String(first + i), at)))
    const { redis, faults } = shop.timers.health()
    assert.deepEqual([redis?.kept, redis?.dropped], [5_000, 10])
    assert.deepEqual(faults.map(({ code }) => code).sort(), ['REDIS_UNAVAILABLE', 'TIMERS_DROPPED'])
    await server.restart()
    await waitUntil(() => shop.timers.health().status === 'ok')
    assert.deepEqual(lines.of('warn').length, 2)
    assert.deepEqual([await armed(), shop.timers.health().redis?.dropped], [5_000, 10])
  })

  it('with a worker on the same timers leaves the log to it', async () => {
    await open()
    const worker = await shop.worker({ fallback: false })
    await schedule()
    await server.kill()
    await waitUntil(() => worker.faultsTold.length)
    await schedule(3)
    assert.equal(shop.timers.health().status, 'degraded')
    assert.equal(lines.all.filter(({ level, fields }) => level === 'warn' && fields.code === 'REDIS_UNAVAILABLE').length, 1)
    await server.restart()
    await waitUntil(() => shop.timers.health().status === 'ok')
  })

  it('is off where it is switched off or closed, and names no Redis where it has none', async () => {
    await open()
    const off = await openShop(oneOfEach, { enabled: false })
    assert.deepEqual(off.timers.health(), { status: 'off', faults: [], redis: undefined })
    const without = await openShop(oneOfEach, { redis: false })
    assert.deepEqual(without.timers.health(), { status: 'ok', faults: [], redis: undefined })
    await without.timers.close()
    assert.equal(without.timers.health().status, 'off')
    await Promise.all([off.close(), without.close()])
  })
})
