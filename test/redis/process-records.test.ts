import assert from 'node:assert/strict'
import { parseRecord } from '../../lib/redis/process-records.js'

const NOW = 1_800_000_000_000

const RECORD = {
  ...{ id: 'pod:1:abcdef', host: 'pod', pid: 1, version: '1.0.0', startedAt: 0, role: 'worker', redis: null, rules: { order_pay: 'a' } },
  databases: [{ identity: 'one', kinds: ['order_pay'], sinceMs: 0, confirmedMs: 0 }],
}

const parse = (record: unknown, at = NOW) => parseRecord(`${at} ${at} ${JSON.stringify(record)}`, NOW)

describe('the record of a process', () => {
  it('is read with its age', () => {
    assert.equal(parse(RECORD, NOW - 1_500)?.ageMs, 1_500)
    assert.equal(
      parse({ ...RECORD, sweepMs: null, beatMs: 60_000, scanMs: 1, aheadMs: 5, faults: [{ code: 'A', message: 'b', since: 0 }] })?.clockMs,
      5,
    )
    assert.equal(parse({ ...RECORD, more: 1 })?.id, RECORD.id) // of a later version
  })

  it('is left out where a part is missing or of another type', () => {
    for (const name of Object.keys(RECORD)) {
      assert.equal(parse({ ...RECORD, [name]: undefined }), undefined, `${name} missing`)
      for (const odd of [true, [1], { a: 1 }]) assert.equal(parse({ ...RECORD, [name]: odd }), undefined, `${name}: ${JSON.stringify(odd)}`)
    }
    const odd = {
      role: 'page',
      redisData: 1,
      databases: [null],
      sweepMs: 'x',
      beatMs: null,
      scanMs: 'x',
      aheadMs: 'x',
      faults: [{ code: 'A' }],
    }
    for (const [name, value] of Object.entries(odd)) assert.equal(parse({ ...RECORD, [name]: value }), undefined, name)
    for (const text of ['', 'x', `${NOW} 1`, `${NOW} 1 {`, '1e3 1 {}']) assert.equal(parseRecord(text, NOW), undefined, text)
  })

  it('is left out where it lies further in the future than a failover explains', () => {
    assert.equal(parse(RECORD, NOW + 59_000)?.ageMs, 0)
    assert.equal(parse(RECORD, NOW + 61_000), undefined)
  })
})
