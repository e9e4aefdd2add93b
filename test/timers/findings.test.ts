import assert from 'node:assert/strict'
import type { SeenProcess } from '../../lib/redis/process-records.js'
import { ALIVE_MS } from '../../lib/redis/process-records.js'
import { ALIVE_BY_ROW_MS, type Finding, findingsOf, type Looker, type Seen } from '../../lib/timers/findings.js'

const RULES = { order_pay: 'a', order_confirm: 'b' }
const WEB: Looker = { id: 'web:1:aaaaaa', role: 'web', rules: RULES, redis: 'redis:6379 db 0', redisData: 'data' }
const WORKER: Looker = { ...WEB, id: 'worker:1:aaaaaa', role: 'worker' }

let made = 0
const process = (values: Partial<SeenProcess> = {}): SeenProcess => {
  made += 1
  const [host, pid] = ['host', made]
  const who = { id: `${host}:${pid}:bbbbbb`, host, pid, version: '1.0.0', startedAt: 0, role: 'worker' as const }
  return { ...who, redis: WEB.redis, redisData: 'data', rules: RULES, databases: [], beatAt: 1e12, ageMs: 1_000, clockMs: 0, ...values }
}
const found = (self: Looker, seen: Partial<Seen>) => findingsOf(self, { redis: undefined, postgres: undefined, ...seen })
const codes = (findings: Finding[] | undefined) => findings?.map(({ code, kind }) => (kind === undefined ? code : `${code} ${kind}`))

describe('what the records of all processes say', () => {
  it('is nothing where a worker is alive, and nothing is known where nothing can be read', () => {
    assert.deepEqual(found(WEB, { redis: [process(), process({ role: 'web' })] }), [])
    assert.deepEqual(found(WORKER, { redis: [process()] }), [])
    assert.equal(found(WEB, {}), undefined)
  })

  it('is NO_WORKER to a web process, at once where a worker has died, after a minute where none has been seen', () => {
    const dead = process({ ageMs: ALIVE_MS.worker + 1 })
    const [died] = found(WEB, { redis: [dead, process({ role: 'web' }), process({ ageMs: 3_000_000 })] }) as Finding[]
    assert.deepEqual([died?.code, died?.graceMs], ['NO_WORKER', 0])
    assert.match(died?.message ?? '', new RegExp(`no worker is alive \\(${dead.host}:${dead.pid} last beat 5 s ago\\)`))
    const [none] = found(WEB, { redis: [] }) as Finding[]
    assert.deepEqual([none?.code, none?.graceMs], ['NO_WORKER', 60_000])
    assert.equal(none?.remedy, 'start a worker that uses Redis at redis:6379 db 0 and the same prefix')
  })

  it('is taken from the rows in Postgres where Redis cannot be read', () => {
    assert.deepEqual(found(WEB, { postgres: [process({ ageMs: ALIVE_BY_ROW_MS - 1 })] }), [])
    assert.deepEqual(codes(found(WEB, { postgres: [process({ ageMs: ALIVE_BY_ROW_MS + 1 })] })), ['NO_WORKER'])
    assert.deepEqual(found(WEB, { postgres: [process({ role: 'web' })] }), []) // a worker that has just started, or may not write its row
    assert.deepEqual(codes(found({ ...WEB, redis: null }, { postgres: [] })), ['NO_WORKER'])
  })

  it('is KIND_UNSERVED of a rule that no living worker has, to the process that has it and to the workers', () => {
    const partial = process({ rules: { order_pay: 'a' } })
    assert.deepEqual(codes(found(WEB, { redis: [partial] })), ['KIND_UNSERVED order_confirm'])
    const worker = { ...WORKER, rules: { order_pay: 'a' } }
    assert.deepEqual(codes(found(worker, { redis: [partial, process({ role: 'web' })] })), ['KIND_UNSERVED order_confirm'])
    assert.deepEqual(found(worker, { redis: [partial, process({ role: 'web', ageMs: ALIVE_MS.web + 1 })] }), [])
  })

  it('is RULES_DIFFER of two living workers with other values, and not of a web process', () => {
    const [one, two] = [process(), process({ rules: { ...RULES, order_pay: 'x' }, version: '1.1.0' })]
    const findings = found(WORKER, { redis: [one, two] }) as Finding[]
    assert.deepEqual(codes(findings), ['RULES_DIFFER order_pay'])
    assert.ok(findings[0]?.message.includes(`host:${one.pid} (version 1.0.0) and host:${two.pid} (version 1.1.0)`), findings[0]?.message)
    assert.deepEqual(found(WORKER, { redis: [one, { ...two, role: 'web' }] }), [])
    assert.deepEqual(found(WORKER, { redis: [one, { ...two, ageMs: ALIVE_MS.worker + 1 }] }), [])
  })

  it('is OTHER_REDIS where workers are alive in the same database and use other data in Redis', () => {
    const elsewhere = process({ redis: 'redis:6379 db 1', redisData: 'other' })
    const [finding, ...more] = found(WEB, { redis: [], postgres: [elsewhere] }) as Finding[]
    assert.deepEqual([finding?.code, more], ['OTHER_REDIS', []])
    assert.match(finding?.message ?? '', /web:1:aaaaaa uses Redis at redis:6379 db 0, and the worker \S+ another one, at redis:6379 db 1/)
    assert.deepEqual(codes(found(WEB, { redis: [], postgres: [elsewhere, process()] })), ['NO_WORKER'])
    assert.deepEqual(found(WEB, { redis: [process()], postgres: [elsewhere] }), [])
    assert.deepEqual(codes(found(WORKER, { redis: [process()], postgres: [{ ...elsewhere, role: 'web' }] })), ['OTHER_REDIS'])
    assert.deepEqual(found(WORKER, { redis: [process()], postgres: [{ ...elsewhere, role: 'web', rules: { parcel: 'c' } }] }), [])
  })

  it('is PREFIX_SHARED of two processes that have used different databases at the same time for a minute', () => {
    const using = (identity: string, sinceMs: number, confirmedMs: number, kinds = ['order_pay']) =>
      process({ databases: [{ identity, kinds, sinceMs, confirmedMs }] })
    assert.deepEqual(codes(found(WORKER, { redis: [using('x', 90_000, 5_000), using('y', 300_000, 20_000)] })), ['PREFIX_SHARED order_pay'])
    assert.deepEqual(found(WORKER, { redis: [using('x', 90_000, 5_000), using('x', 300_000, 20_000)] }), [])
    assert.deepEqual(found(WORKER, { redis: [using('x', 90_000, 5_000), using('y', 300_000, 20_000, ['order_confirm'])] }), [])
    // The database restarted a minute ago, and one of them has not asked since.
    assert.deepEqual(found(WORKER, { redis: [using('new', 61_000, 1_000), using('old', 600_000, 62_000)] }), [])
    assert.deepEqual(found(WORKER, { redis: [using('x', 30_000, 0), using('y', 300_000, 0)] }), [])
  })
})
