import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { capacityPage } from '../../bench/capacity.js'
import type { BenchRecord } from '../../bench/record.js'
import { root, textOf } from '../support/book.js'

const record = () => JSON.parse(readFileSync(join(root, 'docs', 'benchmarks.json'), 'utf8')) as BenchRecord

describe('docs/capacity.md', () => {
  it('is what the model makes of the figures in docs/benchmarks.json', () => {
    assert.equal(textOf('docs/capacity.md'), capacityPage(record()), 'npm run bench -- --docs --from docs/benchmarks.json writes it')
  })

  it('cannot be made of a record that lacks what was measured', () => {
    const { rows, ...rest } = record()
    const without = rows.filter(({ scenario }) => scenario !== 'sweep')
    assert.throws(() => capacityPage({ ...rest, rows: without }), /no row of "sweep"/)
  })
})
