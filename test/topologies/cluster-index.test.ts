// The due index of a cluster: partitions whose keys share a slot, scripts that touch no other, and the timers' own keys, which lie anywhere.

import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'
import { Keys } from '../../lib/keys.js'
import { RedisClock } from '../../lib/redis/clock.js'
import { fromNodes } from '../../lib/redis/cluster-source.js'
import { RedisConnection } from '../../lib/redis/connection.js'
import { DueIndex } from '../../lib/redis/due-index.js'
import { FailedTimers, type Failure } from '../../lib/redis/failed-timers.js'
import { Layout } from '../../lib/redis/layout.js'
import { Leases } from '../../lib/redis/leases.js'
import { Presence } from '../../lib/redis/presence.js'
import type { ProcessRecord } from '../../lib/redis/process-records.js'
import { Pulse } from '../../lib/redis/pulse.js'
import { slotOf } from '../../lib/slots.js'
import { enter } from '../support/opened.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { refused } from '../support/refused.js'
import { waitUntil } from '../support/waiting.js'

const KIND = 'order_confirm'
const WAIT_MS = 2_000
const HOUR_MS = 3_600_000
const DEAD: Failure = { attempts: 5, error: 'no stock', at: new Date(0).toISOString(), dead: true }

const recordWith = (partitions: number | undefined): ProcessRecord => ({
  ...{ id: 'a:1:b', host: 'a', pid: 1, version: '0.1.0', startedAt: 0, role: 'worker', redis: null, rules: {}, databases: [] },
  ...(partitions !== undefined && { partitions }),
})

describe('The due index of a cluster', function () {
  this.timeout(60_000)
  let cluster: RedisCluster
  let shops = 0

  before(async () => {
    cluster = await RedisCluster.start()
  })

  after(() => cluster.stop())

  const open = async (options: { prefix?: string; partitions?: number } = {}) => {
    shops += 1
    const { prefix = `shop${shops}:`, partitions } = options
    const keys = new Keys(prefix, true)
    if (partitions !== undefined) keys.partitions = partitions
    const connection = new RedisConnection(fromNodes({ nodes: cluster.addresses }), 'test', keys)
    const strikeOut = enter('a connection to a cluster', async () => connection.close())
    await connection.connected(10_000)
    const clock = new RedisClock(connection, keys)
    const leases = new Leases(connection, keys, clock)
    const pulse = new Pulse(connection, keys, clock, leases)
    const close = () => {
      connection.close()
      strikeOut()
    }
    const index = new DueIndex(connection, keys)
    const arm = (ids: readonly string[], deadlineMs: number) => Promise.all(ids.map((id) => index.arm(KIND, [{ id, deadlineMs }], WAIT_MS)))
    return { keys, prefix, connection, clock, leases, pulse, index, failures: new FailedTimers(connection, keys), arm, close }
  }

  const names = (count: number, from = 1) => Array.from({ length: count }, (_, i) => String(from + i))

  it('spreads timers over all primaries, and gives each to one claim, with its key until then', async () => {
    const { keys, index, leases, clock, connection, arm, close } = await open()
    const ids = names(400)
    const now = await clock.now()
    await arm(ids.slice(0, 200), now - 1_000)
    await index.armMissing(
      KIND,
      ids,
      ids.map(() => now + HOUR_MS),
    )
    assert.equal(await index.count(KIND, WAIT_MS), 400)
    assert.equal(await index.first(KIND, WAIT_MS), now - 1_000)
    const listed = await index.between(KIND, '-inf', '+inf', 10, WAIT_MS, 195)
    assert.deepEqual(
      listed.map(({ deadlineMs }) => deadlineMs),
      [...Array(5).fill(now - 1_000), ...Array(5).fill(now + HOUR_MS)],
    )
    const shares = await Promise.all((await cluster.primaries()).map(({ client }) => client.keys(`${keys.prefix}order-timers:*:due`)))
    assert.ok(
      shares.every((share) => share.length >= 2),
      JSON.stringify(shares),
    )
    const exist = async () =>
      (await Promise.all(ids.slice(200).map((id) => connection.client.pttl(keys.timer(KIND, id))))).filter((ms) => ms > 0)
    assert.equal((await exist()).length, 200)

    const claimed: string[] = []
    for (const partition of keys.everyPartition) {
      const claim = await leases.claim(KIND, `token-${partition}`, { limit: 1_000, leaseMs: 10_000, skewMs: 0, partition })
      assert.ok(claim.ids.length > 5, `partition ${partition} has ${claim.ids.length}`)
      claimed.push(...claim.ids)
      assert.equal(await leases.keep(KIND, claim.token, 10_000, partition), true)
      assert.equal(await leases.finish(KIND, claim.token, 0, [], { partition }), true)
    }
    assert.deepEqual(claimed.sort(), ids.slice(0, 200).sort())
    assert.equal(await index.count(KIND, WAIT_MS), 200)
    // what was settled a moment ago is no external key
    assert.deepEqual((await leases.takeExpired(KIND, 'late', 1_000, [ids[0]!])).ids, [])
    close()
  })

  it('sends what one turn of the event loop arms to each node in one message, not in one for each timer', async () => {
    const { arm, close } = await open()
    const reads = async () => {
      const infos = await Promise.all((await cluster.primaries()).map(({ client }) => client.info('stats')))
      return infos.reduce((sum, info) => sum + Number(/^total_reads_processed:(\d+)/m.exec(info)?.[1]), 0)
    }
    const now = Date.now()
    await arm(names(20, 1_001), now + HOUR_MS) // connects to every node
    const before = await reads()
    await arm(names(200), now + HOUR_MS)
    const read = (await reads()) - before
    assert.ok(read < 60, `the primaries read ${read} messages for 200 timers`)
    close()
  })

  it('sets the key of each timer also where its slot has moved since', async () => {
    const { keys, index, connection, arm, close } = await open()
    const now = Date.now()
    await arm(names(20, 1_001), now + HOUR_MS)
    const ids = names(50)
    const slot = slotOf(keys.timer(KIND, '7'))
    const from = await cluster.ownerOf(slot)
    const to = (await cluster.primaries()).find((node) => node !== from) as typeof from
    await cluster.moveSlots(from, to, [slot, slot])
    // On a busy machine the redirection may come too late for a key, which is then left out.
    const areSet = async () => {
      await arm(ids, now + HOUR_MS)
      const has = await Promise.all(ids.map((id) => connection.client.exists(keys.timer(KIND, id))))
      return has.every((count) => count === 1)
    }
    await waitUntil(areSet, { what: 'all keys to be set' })
    assert.equal(await index.count(KIND, WAIT_MS), 70)
    await cluster.moveSlots(to, from, [slot, slot])
    close()
  })

  it('takes the key of a timer away with it, and follows what other programs set', async () => {
    const { keys, index, leases, clock, connection, close } = await open()
    const { client } = connection
    const now = await clock.now()
    const key = (id: string) => client.pttl(keys.timer(KIND, id))
    await index.arm(KIND, [{ id: '7', deadlineMs: now + HOUR_MS }], WAIT_MS)
    assert.equal(await index.disarm(KIND, '7', now + 1, WAIT_MS), false)
    assert.ok((await key('7')) > 0)
    assert.equal(await index.disarm(KIND, '7', now + HOUR_MS, WAIT_MS), true)
    assert.equal(await key('7'), -2)

    await client.set(keys.timer(KIND, '8'), 'php', 'PX', 60_000)
    const found = await index.deadline(KIND, '8', WAIT_MS)
    assert.ok(Math.abs(found! - (await clock.nowFor('8')) - 60_000) < 5_000)
    const moved = await index.postpone(KIND, '8', 60_000, WAIT_MS)
    assert.ok(Math.abs(moved! - found! - 60_000) < 5_000)
    assert.ok((await key('8')) > 90_000)
    assert.deepEqual([...(await index.deadlines(KIND, ['7', '8', '9'], WAIT_MS)).keys()], ['8'])
    await client.set(keys.timer(KIND, '9'), 'php', 'PX', 60_000)
    assert.deepEqual((await leases.takeExpired(KIND, 'token', 1_000, ['9'])).ids, [], 'it was set again')
    assert.equal(await index.disarm(KIND, '9', (await clock.nowFor('9')) + HOUR_MS, WAIT_MS, 1_000), false)
    await client.unlink(keys.timer(KIND, '9'))
    assert.deepEqual((await leases.takeExpired(KIND, 'token', 1_000, ['9'])).ids, ['9'])

    const ids = names(30, 100)
    await index.move(
      KIND,
      ids,
      ids.map(() => now + 1_000),
      HOUR_MS,
    )
    await index.move(
      KIND,
      ids,
      ids.map((_, i) => (i < 10 ? null : now + HOUR_MS)),
      HOUR_MS,
    )
    await waitUntil(async () => (await Promise.all(ids.map(key))).filter((ms) => ms > 60_000).length === 20)
    await waitUntil(async () => (await Promise.all(ids.map(key))).filter((ms) => ms === -2).length === 10)
    close()
  })

  it('pages through the dead letters of all partitions, newest first, and revives them', async () => {
    const { keys, index, leases, failures, clock, arm, close } = await open()
    const ids = names(40)
    await arm(ids, (await clock.now()) - 1_000)
    const died: string[] = []
    for (const partition of keys.everyPartition) {
      const { ids, token } = await leases.claim(KIND, `token-${partition}`, { limit: 100, leaseMs: 10_000, skewMs: 0, partition })
      await leases.finish(
        KIND,
        token,
        0,
        ids.map((id) => ({ id, failure: DEAD, stack: `of ${id}` })),
        { partition },
      )
      died.push(...ids)
    }
    const shown: string[] = []
    let before: string | undefined
    do {
      const page = await failures.deadPage(KIND, before, 7, WAIT_MS)
      assert.equal(page.total, 40)
      for (const { id, stack } of page.letters) assert.equal(stack, `of ${id}`)
      shown.push(...page.letters.map(({ id }) => id))
      before = page.next
    } while (before !== undefined)
    assert.deepEqual(shown, died.reverse())
    assert.deepEqual((await failures.ids(KIND, WAIT_MS)).dead.sort(), ids.sort())
    assert.equal((await failures.of(KIND, ids)).size, 40)
    assert.deepEqual([...(await failures.revive(KIND, [...ids, '999'], WAIT_MS))].sort(), ids.sort())
    assert.equal(await index.count(KIND, WAIT_MS), 40)
    close()
  })

  it('is in as many partitions as its data say', async () => {
    const first = await open({ partitions: 4 })
    const second = await open({ prefix: first.prefix })
    assert.equal(second.keys.partitions, 4)
    await first.arm(names(20), (await first.clock.now()) + HOUR_MS)
    assert.equal(await second.index.count(KIND, WAIT_MS), 20)
    first.close()
    second.close()
  })

  it('keeps no clock and no epoch of its partitions once its data say another number of them', async () => {
    const { keys, leases, clock, close } = await open()
    await clock.now(3)
    leases.noteEpoch(KIND, 1, 3)
    keys.agree(8)
    assert.equal(leases.knownEpoch(KIND, 3), 1)
    keys.agree(16)
    assert.equal(leases.knownEpoch(KIND, 3), 0)
    assert.equal(clock.known(3), undefined)
    close()
  })

  it('counts the attempts of a timer that was armed when its partitions were fewer', async () => {
    const { keys, connection, failures, close } = await open()
    const [id] = names(100).filter((one) => keys.partitionOf(one) !== 3) as [string]
    await connection.client.hset(keys.sets(KIND, 3).failures, id, JSON.stringify(DEAD))
    assert.deepEqual(await failures.of(KIND, [id], 3), new Map([[id, DEAD]]))
    assert.equal((await failures.of(KIND, [id])).size, 0)
    close()
  })

  it('is not used beside a living process that takes it to have another number of partitions, or once that number has changed', async () => {
    const { keys, prefix, connection, pulse, index, close } = await open()
    const { agreed, layout } = keys
    assert.equal(agreed, 8)
    const owner = await cluster.ownerOf(slotOf(layout))
    await new Presence(connection, keys, pulse).beat(recordWith(agreed), new Map())
    await owner.client.hset(layout, 'partitions', 16)

    const newcomer = new RedisConnection(fromNodes({ nodes: cluster.addresses }), 'test', new Keys(prefix, true))
    const strikeOut = enter('a connection to a cluster', async () => newcomer.close())
    const beside = await refused(() => newcomer.connected(10_000))
    assert.equal(beside.code, 'ERR_ORDER_TIMERS_REDIS_UNUSABLE')
    assert.match(beside.message, /its index is in 16 partitions, and a:1:b works with 8\); end all processes/)
    assert.equal(await index.count(KIND, WAIT_MS), 0) // whoever works with 8 goes on
    await waitUntil(() => newcomer.ready) // the record is no longer of a living process
    newcomer.close()
    strikeOut()

    const cause = () => index.count(KIND, WAIT_MS).catch((error) => error)
    connection.reconnect(new Error('the connection was lost'))
    const { message } = await waitUntil(async () => {
      const error = await cause()
      return error.code === 'ERR_ORDER_TIMERS_REDIS_UNUSABLE' && error
    })
    assert.match(message, /its index was in 8 partitions when this process began, and is in 16 now\)/)
    await owner.client.hset(layout, 'partitions', 8)
    await waitUntil(async () => (await cause()) === 0)
    close()
  })

  it('has its number of partitions from those that work with it, where its data are lost', async () => {
    const { keys, connection, pulse, close } = await open({ partitions: 16 })
    const { client } = connection
    const presence = new Presence(connection, keys, pulse)
    await client.del(keys.layout)
    await presence.beat(recordWith(undefined), new Map())
    assert.equal(await client.hget(keys.layout, 'partitions'), null)
    const { now } = await presence.beat(recordWith(keys.agreed), new Map([['a b c', 1]]))
    assert.equal(await client.hget(keys.layout, 'partitions'), '16')
    assert.deepEqual(await client.hgetall(keys.lateness(Math.floor(now / 60_000))), { 'a b c': '1' })
    close()
  })

  it('is in as many partitions as the process with the most of them has, where its data say fewer', async () => {
    const { keys, prefix, connection, pulse, index, close } = await open({ partitions: 16 })
    const { layout } = keys
    const { client } = connection
    await client.hset(layout, 'partitions', 8) // as a process does that came before the beat of one of the others
    await new Presence(connection, keys, pulse).beat(recordWith(16), new Map())
    const newcomer = new RedisConnection(fromNodes({ nodes: cluster.addresses }), 'test', new Keys(prefix, true))
    const strikeOut = enter('a connection to a cluster', async () => newcomer.close())
    const remedy = `HSET ${layout} partitions 16, end all processes that work with another number than 16, and then start them`
    const beside = await refused(() => newcomer.connected(10_000))
    assert.ok(beside.message.endsWith(`its index is in 8 partitions, and a:1:b works with 16); ${remedy}`), beside.message)
    connection.reconnect(new Error('the connection was lost'))
    const { message } = await waitUntil(async () => {
      const error = await index.count(KIND, WAIT_MS).catch((error) => error)
      return error.code === 'ERR_ORDER_TIMERS_REDIS_UNUSABLE' && error
    })
    assert.ok(message.endsWith(`its index was in 16 partitions when this process began, and is in 8 now); ${remedy}`), message)
    newcomer.close()
    strikeOut()
    close()
  })

  it('is not used while its data say no usable number of partitions', async () => {
    const first = await open({ partitions: 16 })
    const { keys, prefix, connection, pulse } = first
    const { layout } = keys
    const { client } = connection
    const connect = () => {
      const newcomer = new RedisConnection(fromNodes({ nodes: cluster.addresses }), 'test', new Keys(prefix, true))
      const strikeOut = enter('a connection to a cluster', async () => newcomer.close())
      const close = () => {
        newcomer.close()
        strikeOut()
      }
      return { newcomer, close }
    }
    for (const said of ['128', '0', 'many', '', '1e1']) {
      await client.hset(layout, 'partitions', said)
      const { newcomer, close } = connect()
      const { code, message } = await refused(() => newcomer.connected(10_000))
      assert.equal(code, 'ERR_ORDER_TIMERS_REDIS_UNUSABLE')
      const why = `its index is said to be in ${JSON.stringify(said)} partitions, which is no number from 1 to 64); HSET ${layout} partitions 8, or`
      assert.ok(message.includes(why), message)
      close()
    }
    await new Presence(connection, keys, pulse).beat(recordWith(16), new Map())
    const { newcomer, close } = connect()
    const { message } = await refused(() => newcomer.connected(10_000))
    assert.ok(message.endsWith(`HSET ${layout} partitions 16`), message)
    await client.hset(layout, 'partitions', 16)
    await waitUntil(() => newcomer.ready, { within: 15_000 })
    close()
    first.close()
  })

  it('is asked again for its number of partitions where its node was busy', async () => {
    const { keys, prefix, connection, close } = await open({ partitions: 16 })
    const { client } = await cluster.ownerOf(slotOf(keys.layout))
    await client.config('SET', 'busy-reply-threshold', 50)
    const other = client.duplicate()
    const endless = other.eval('while true do end', 1, keys.layout).catch(() => {})
    const isBusy = () => client.exists(keys.layout).then(String, String)
    await waitUntil(async () => (await isBusy()).includes('BUSY'))
    const late = new Keys(prefix, true)
    const layout = new Layout(connection.client, late)
    try {
      layout.look(assert.fail, () => {})
      await layout.known
      assert.deepEqual([layout.understood, late.partitions, late.agreed], [true, 8, undefined])
      await client.script('KILL')
      await endless
      await waitUntil(() => late.agreed === 16)
    } finally {
      layout.end()
      other.disconnect()
      await client.config('SET', 'busy-reply-threshold', 5_000)
    }
    close()
  })

  it('touches with each script keys of one slot, and none beside those that the call names', async () => {
    const { keys, index, leases, failures, pulse, clock, connection, prefix, close } = await open()
    const struckOut = enter('monitors', async () => {
      for (const monitor of monitors) monitor.disconnect()
    })
    const partition = 5
    const ids = names(2_000)
      .filter((id) => keys.partitionOf(id) === partition)
      .slice(0, 20)
    const commands: { source: string; args: string[] }[] = []
    const monitors: Redis[] = []
    for (const node of await cluster.primaries()) {
      const monitor = await node.client.monitor()
      monitor.on('monitor', (_time: string, args: string[], source: string) => commands.push({ source, args }))
      monitor.on('error', () => {})
      monitors.push(monitor)
    }
    const now = await clock.now(partition)
    const claim = (token: string) => leases.claim(KIND, token, { limit: 100, leaseMs: 10_000, skewMs: 0, partition })
    const probe = { key: keys.expiryProbe('w', partition), control: `${keys.expiryProbe('w', partition)}:control`, controlTtlMs: 1_000 }
    const record = { id: 'p', role: 'worker', rules: {}, databases: [] } as never
    const steps: [what: string, step: () => Promise<unknown>][] = [
      [
        'arm',
        () =>
          index.arm(
            KIND,
            ids.map((id) => ({ id, deadlineMs: now - 50 })),
            WAIT_MS,
          ),
      ],
      [
        'armMissing',
        () =>
          index.armMissing(
            KIND,
            ids,
            ids.map(() => now - 100),
          ),
      ],
      ['claim', () => claim('a')],
      ['keep', () => leases.keep(KIND, 'a', 10_000, partition)],
      ['release', () => leases.release(KIND, 'a', 0, partition)],
      ['claim', () => leases.claim(KIND, 'short', { limit: 3, leaseMs: 1, skewMs: 0, partition })],
      ['claim of an ended lease', () => claim('b')],
      [
        'finish',
        () =>
          leases.finish(
            KIND,
            'b',
            0,
            ids.slice(0, 4).map((id, i) => (i < 2 ? { id, failure: DEAD, stack: 's' } : { id, delayMs: 5 })),
            { partition },
          ),
      ],
      ['deadPage', () => failures.deadPage(KIND, undefined, 10, WAIT_MS)],
      ['revive', () => failures.revive(KIND, ids, WAIT_MS)],
      ['takeOverdue', () => leases.takeOverdue(KIND, 'c', 1_000, ids, 'second')],
      ['takeExpired', () => leases.takeExpired(KIND, 'd', 1_000, ids)],
      [
        'move',
        () =>
          index.move(
            KIND,
            ids,
            ids.map((_, i) => (i % 2 ? null : now + 1)),
            HOUR_MS,
          ),
      ],
      ['disarm', () => index.disarm(KIND, ids[0]!, undefined, WAIT_MS)],
      ['postpone', () => index.postpone(KIND, ids[2]!, 1_000, WAIT_MS)],
      ['restored', () => leases.restored(KIND)],
      ['pulse', () => pulse.send({ kinds: [KIND, 'order_pay'], partition, probe, isThorough: true })],
      ['pulse without a probe', () => pulse.send({ kinds: [KIND], partition, isThorough: true })],
      ['beat', () => new Presence(connection, keys, pulse).beat(record, new Map([['a b c', 1]]))],
      ['probe', async () => connection.refusals.probe?.()],
    ]
    let scripted = 0
    for (const [what, step] of steps) {
      commands.length = 0
      await step()
      const end = `${prefix}end of ${what}`
      for (const { client } of await cluster.primaries()) await client.get(end).catch(() => {}) // MOVED, but the monitors show it
      await waitUntil(() => commands.filter(({ args }) => args[1] === end).length >= 1)
      const calls = commands.filter(({ args: [name = ''] }) => /^eval/i.test(name))
      assert.ok(calls.length > 0, what)
      const declared = calls.flatMap(({ args }) => args.slice(3, 3 + Number(args[2])))
      const touched = commands
        .filter(({ source, args }) => source === 'lua' && args[0]?.toLowerCase() !== 'publish' && (args[1] ?? '').startsWith(prefix))
        .map(({ args }) => args[1]!)
      scripted += touched.length
      const slots = new Set(declared.map(slotOf))
      if (!['deadPage', 'revive', 'probe'].includes(what)) {
        const ofTimers = declared.filter((name) => name.startsWith(`${prefix}${KIND}:`)).map(slotOf)
        assert.equal(slots.size - new Set(ofTimers).size, 1, `${what} declares ${declared}`)
      }
      for (const name of touched) {
        assert.ok(slots.has(slotOf(name)), `${what} touched ${name}`)
        const isDerived = declared.some((key) => name.startsWith(key)) || /:(lease|lateness):/.test(name)
        assert.ok(isDerived, `${what} touched ${name}, which no key of its call names`)
      }
    }
    assert.ok(scripted > 100, `${scripted} keys were touched`)
    for (const monitor of monitors) monitor.disconnect()
    struckOut()
    close()
  })
})
