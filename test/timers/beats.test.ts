import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { livingProcesses } from '../../lib/admin/processes.js'
import { Identity } from '../../lib/identity.js'
import { toLog } from '../../lib/logger.js'
import { Presence } from '../../lib/redis/presence.js'
import { PROCESSES_TABLE, ProcessesTable } from '../../lib/rows/processes-table.js'
import { BEAT_TIMES, type BeatTimes } from '../../lib/timers/beat-times.js'
import { Beats } from '../../lib/timers/beats.js'
import type { ParsedOptions } from '../../lib/timers/options.js'
import type { Runtime } from '../../lib/timers/runtime.js'
import { VERSION } from '../../lib/version.js'
import { freePort } from '../support/free-port.js'
import { Lines } from '../support/lines.js'
import { enter } from '../support/opened.js'
import { openRedis } from '../support/redis.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { holdsFor, inTime, waitUntil } from '../support/waiting.js'

const QUICK: BeatTimes = { worker: 100, web: 100, look: 100, doubting: 100, first: 10, firstRowOfWorker: 0, row: 100, quietStart: 0 }

/** The beats of another process on the same timers: with an identity of its own, and more often than in earnest. */
function otherProcess(runtime: Runtime, log = toLog(false), times: BeatTimes = QUICK) {
  const { keys, redis } = runtime
  const identity = new Identity()
  const beats = new Beats(
    {
      identity,
      keys,
      redis,
      declared: (runtime as unknown as { options: ParsedOptions }).options.rules,
      rule: (kind) => runtime.rule(kind),
      faults: () => [],
      log,
    },
    times,
  )
  const strikeOut = enter('beats', () => beats.end())
  const { faults } = beats.suspicions
  return {
    identity,
    beats,
    faults: () => faults.list().map(({ code, kind }) => (kind ? `${code} ${kind}` : code)),
    end: () => beats.end().finally(strikeOut),
    /** As a process that is killed: no beat any more, and its record stays. */
    stop: () => clearTimeout((beats as unknown as { timer: NodeJS.Timeout }).timer),
  }
}

describe('the heartbeats of a process', () => {
  let shop: Shop<OneOfEach>

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
  })

  afterEach(() => shop.close())

  const seen = async () => {
    const { redis, keys } = runtimeOf(shop.timers)
    return (await new Presence((redis as NonNullable<typeof redis>).connection, keys).read(1000)).processes
  }

  it('go on in Redis while the pool has no connection for the row in Postgres', async () => {
    const single = await openShop(oneOfEach, { database: { pool: { max: 1 } } })
    const { sequelize } = single.database
    const holder = await sequelize.transaction()
    await sequelize.query('SELECT 1', { transaction: holder })
    const process = otherProcess(runtimeOf(single.timers))
    process.beats.mounted()
    const first = await waitUntil(() => process.beats.seen, { within: 5_000 })
    await waitUntil(() => process.beats.seen !== first, { within: 5_000 })
    await holder.rollback()
    await process.end()
    await single.close()
  })

  it('say who a worker is: host, process, version, rules and Redis; and its end', async () => {
    const worker = await shop.worker()
    const [record] = await waitUntil(async () => ((await seen()).length === 1 ? seen() : undefined))
    const {
      id,
      startedAt,
      rules,
      redis,
      redisData: _,
      databases: __,
      ageMs,
      clockMs,
      beatAt,
      scanMs: ___,
      ...rest
    } = record as NonNullable<typeof record>
    assert.deepEqual(rest, { host: hostname(), pid: process.pid, version: VERSION, role: 'worker', sweepMs: 60_000, holds: true })
    assert.deepEqual([id, redis], [runtimeOf(shop.timers).identity.id, runtimeOf(shop.timers).redis?.connection.where])
    assert.deepEqual(Object.keys(rules).sort(), Object.keys(oneOfEach(shop.database)).sort())
    assert.ok(Math.abs(startedAt - performance.timeOrigin) < 1 && ageMs < 5_000 && Math.abs(clockMs) < 1_000 && beatAt > 0, String(ageMs))
    await worker.stop()
    assert.deepEqual(await seen(), [])
  })

  it('do not report a slow clock because a heartbeat was delayed', async () => {
    const web = otherProcess(runtimeOf(shop.timers))
    web.beats.mounted()
    const raw = async () => /^(\d+) (\d+) /.exec((await shop.redis.client.hget(shop.key('order-timers:processes'), web.identity.id)) ?? '')
    const lateMs = async () => {
      const [, at, wall] = (await raw()) ?? []
      return Number(at) - Number(wall)
    }
    await waitUntil(raw)
    await shop.redis.client.client('PAUSE', 700, 'WRITE')
    await waitUntil(async () => (await lateMs()) > 300, { every: 10 })
    const [record] = await seen()
    assert.ok(Math.abs(record?.clockMs ?? Number.NaN) < 100, String(record?.clockMs))
    await web.end()
  })

  it('tell a web process that its worker died, and that there is one again, in its own log and health', async () => {
    const runtime = runtimeOf(shop.timers)
    const lines = new Lines()
    const web = otherProcess(runtime, toLog(lines))
    const dead = {
      id: 'pod:1:abcdef',
      host: 'pod',
      pid: 1,
      version: VERSION,
      startedAt: 0,
      role: 'worker',
      redis: null,
      rules: {},
      databases: [],
    }
    await shop.redis.client.hset(runtime.keys.processes, dead.id, `${Date.now() - 20_000} ${Date.now()} ${JSON.stringify(dead)}`)
    web.beats.mounted()
    await waitUntil(() => web.faults().includes('NO_WORKER'))
    const worker = await shop.worker()
    await waitUntil(() => web.faults().length === 0)
    assert.deepEqual(worker.faultsTold, [])
    const told = lines.all.filter(({ message }) => message.includes('NO_WORKER')).map(({ level }) => level)
    assert.deepEqual(told, ['warn', 'info'])
    await web.end()
  })

  it('tell a web process that a worker was killed within ten seconds, by the looks between its own beats', async () => {
    const runtime = runtimeOf(shop.timers)
    const web = otherProcess(runtime, toLog(false), { ...BEAT_TIMES, first: 10, quietStart: 0 })
    const killed = otherProcess(runtime)
    const endWorker = killed.beats.addWorker({
      faults: { raise() {}, clear() {}, list: () => [{ code: 'EVENTS_OFF', message: 'no events', since: new Date(0) }] },
      schedule: { intervalMs: 60_000 },
      intake: { externalScanMs: 421_000 },
      latenessCounts: { takeCounts: () => new Map(), putBack() {} },
    })
    const record = await waitUntil(async () => (await seen()).find(({ id }) => id === killed.identity.id))
    assert.deepEqual(record.faults, [{ code: 'EVENTS_OFF', message: 'no events', since: 0 }])
    assert.deepEqual([record.sweepMs, record.scanMs], [60_000, 421_000])
    web.beats.mounted()
    await waitUntil(async () => (await seen()).some(({ id }) => id === web.identity.id))
    assert.deepEqual(web.faults(), [])
    killed.stop()
    const since = performance.now()
    await waitUntil(() => web.faults().includes('NO_WORKER'), { within: 12_000, every: 100 })
    const tookMs = performance.now() - since
    assert.ok(tookMs > 4_000 && tookMs < 10_000, String(tookMs))
    await Promise.all([endWorker(), killed.end(), web.end()])
  })

  it('write no record of a process that has ended, also where one waits for a pulse as the worker and the timers end at once', async () => {
    const worker = await shop.worker()
    const { redis, keys } = runtimeOf(shop.timers)
    const pulse = redis?.pulse as unknown as { waiting: unknown }
    const records = () => shop.redis.client.hlen(keys.processes)
    await waitUntil(async () => (await records()) === 1)
    await waitUntil(() => pulse.waiting, { every: 5 })
    await Promise.all([worker.stop(), shop.timers.close()])
    await holdsFor(1_500, async () => (await records()) === 0)
  })

  it('write no record of a process that ended while one waited for its row in Postgres', async () => {
    const single = await openShop(oneOfEach, { database: { pool: { max: 1 } } })
    const { sequelize } = single.database
    const holder = await sequelize.transaction()
    await sequelize.query('SELECT 1', { transaction: holder })
    const runtime = runtimeOf(single.timers)
    const process = otherProcess(runtime)
    process.beats.mounted()
    await waitUntil(() => (process.beats as unknown as { beating: unknown }).beating !== undefined, { every: 5 })
    await process.end()
    await holdsFor(1_500, async () => (await single.redis.client.hexists(runtime.keys.processes, process.identity.id)) === 0)
    await holder.rollback()
    await single.close()
  })

  it('of a process that has mounted the timers begin by themselves, and end with it', async () => {
    express().use(shop.timers)
    const [record] = await waitUntil(async () => ((await seen()).length === 1 ? seen() : undefined), { within: 10_000, every: 100 })
    assert.deepEqual([record?.role, record?.id], ['web', runtimeOf(shop.timers).identity.id])
    await shop.timers.close()
    assert.equal(await shop.redis.client.hlen(runtimeOf(shop.timers).keys.processes), 0)
  })

  it('do not keep a process running that has nothing more to do, whether Redis answers or not', async () => {
    const redis = await openRedis()
    const urls = [redis.url, `redis://127.0.0.1:${await freePort()}`]
    const script = fileURLToPath(new URL('./mounted-only.ts', import.meta.url))
    const ends = urls.map(async (url) => {
      const child = spawn(process.execPath, ['--import', 'tsx', script, url, redis.prefix], { stdio: ['ignore', 'pipe', 'inherit'] })
      const strikeOut = enter(`process ${child.pid}`, async () => void child.kill('SIGKILL'))
      await once(child.stdout, 'data')
      const [status] = await inTime(once(child, 'exit'), 3_000, `the process to end, with Redis at ${url}`)
      strikeOut()
      return status
    })
    assert.deepEqual(await Promise.all(ends), [0, 0])
    assert.equal(await redis.client.hlen(`${redis.prefix}order-timers:processes`), 1)
    await redis.close()
  })

  it('leave out what is no record, also one that an old instant keeps from lapsing, and go on', async () => {
    const { keys } = runtimeOf(shop.timers)
    const hourAhead = Date.now() + 3_600_000
    await shop.redis.client.hset(keys.processes, {
      ...{ x: '9999999999999 1 {"role":"worker"}', y: `${Date.now()} 1 {"role":"worker"}`, z: `${Date.now()} 1 {"rules":null}`, v: 'text' },
      watch: `${hourAhead} watch`,
    })
    const web = otherProcess(runtimeOf(shop.timers))
    web.beats.mounted()
    const worker = await shop.worker()
    await waitUntil(() => web.beats.seen?.processes.some(({ role }) => role === 'worker'))
    assert.deepEqual((await seen()).map(({ id }) => id).sort(), [web.identity.id, runtimeOf(shop.timers).identity.id].sort())
    assert.deepEqual([web.faults(), worker.faultsTold], [[], []])
    const kept = await shop.redis.client.hkeys(keys.processes)
    assert.ok(!kept.includes('x') && !kept.includes('watch'), `what lies in the future is removed: ${kept}`)
    assert.equal(runtimeOf(shop.timers).redis?.feed.watched, false)
    await worker.stop()
    await web.end()
  })

  it('that fail unexpectedly are reported once, and end neither the process nor the next heartbeat', async () => {
    const lines = new Lines()
    const runtime = runtimeOf(shop.timers)
    const web = otherProcess(runtime, toLog(lines))
    const { suspicions } = web.beats
    let failed = 0
    const take = suspicions.take.bind(suspicions)
    suspicions.take = (findings) => {
      if (failed++ < 3) throw new TypeError('unexpected')
      take(findings)
    }
    web.beats.mounted()
    await waitUntil(() => failed > 4)
    assert.deepEqual(
      lines.all.filter(({ level }) => level === 'error').map(({ fields }) => fields.code),
      ['INTERNAL'],
    )
    await web.end()
  })

  describe('in Postgres', () => {
    const processes = async () => {
      const { rows } = await shop.database.client.query(`SELECT role, prefix, host, pid, version, redis FROM ${PROCESSES_TABLE}`)
      return rows
    }
    const create = async () => {
      for (const sql of ProcessesTable.createSql(PROCESSES_TABLE)) await shop.database.client.query(sql)
    }

    it('are rows of the table, where that is: read where Redis is not used, old ones removed, and one that leaves takes its row along', async () => {
      await create()
      const old = `('old', 'p', 1, 'h', 1, '1', 'web', now(), now() - interval '2 days', now(), NULL, NULL, '{}')`
      await shop.database.client.query(`INSERT INTO ${PROCESSES_TABLE} VALUES ${old}`)
      const worker = await shop.worker()
      const rows = await waitUntil(async () => ((await processes())[0]?.role === 'worker' ? processes() : undefined), { within: 15_000 })
      const { keys, redis } = runtimeOf(shop.timers)
      const own = {
        role: 'worker',
        prefix: keys.prefix,
        host: hostname(),
        pid: process.pid,
        version: VERSION,
        redis: redis?.connection.where,
      }
      assert.deepEqual(rows, [own])
      const withoutRedis = await livingProcesses(Object.assign(Object.create(runtimeOf(shop.timers)), { redis: undefined }))
      assert.deepEqual([withoutRedis.redis, withoutRedis.postgres, withoutRedis.findings], ['not used', 'read', []])
      assert.deepEqual(
        withoutRedis.processes.map(({ role, by, alive }) => [role, by, alive]),
        [['worker', 'postgres', true]],
      )
      const both = await livingProcesses(runtimeOf(shop.timers))
      assert.deepEqual([both.redis, both.postgres, both.processes.length, both.processes[0]?.by], ['read', 'read', 1, 'redis'])
      assert.deepEqual([worker.faultsTold, both.findings], [[], []])
      await worker.stop()
      assert.deepEqual(await processes(), [])
    })

    it('leave out rows that are none, and one from the future', async () => {
      await create()
      const row = (id: string, at: string, rules: string) =>
        `('${id}', '${runtimeOf(shop.timers).keys.prefix}', 1, 'h', 1, '1', 'worker', now(), ${at}, now(), NULL, NULL, '${rules}')`
      const rows = [
        row('a', 'now()', 'text'),
        row('b', 'now()', 'null'),
        row('c', 'now()', '{}'),
        row('d', "now() + interval '1 year'", '{}'),
      ]
      await shop.database.client.query(`INSERT INTO ${PROCESSES_TABLE} VALUES ${rows.join(', ')}`)
      const { postgres, processes: listed } = await livingProcesses(runtimeOf(shop.timers))
      assert.deepEqual([postgres, listed.map(({ id }) => id)], ['read', ['c']])
    })

    it('are missing without the table, and nothing is the worse for it', async () => {
      const web = otherProcess(runtimeOf(shop.timers))
      web.beats.mounted()
      const worker = await shop.worker()
      await waitUntil(async () => (await livingProcesses(runtimeOf(shop.timers))).processes.length === 2)
      assert.equal((await livingProcesses(runtimeOf(shop.timers))).postgres, 'no table')
      assert.deepEqual([worker.faultsTold, worker.health().faults, web.faults()], [[], [], []])
      await web.end()
    })

    it('distinguish databases: two processes on one table have the same', async () => {
      const [one, two] = [otherProcess(runtimeOf(shop.timers)), otherProcess(runtimeOf(shop.timers))]
      for (const { beats } of [one, two]) beats.mounted()
      const identities = async () => (await seen()).flatMap(({ databases }) => databases.map(({ identity }) => identity))
      await waitUntil(async () => (await identities()).length >= 2)
      assert.equal(new Set(await identities()).size, 1)
      await Promise.all([one.end(), two.end()])
    })
  })
})
