// The table of docs/promises.md, held against the judge: each feature of the chaos run has a row, and each invariant judges something that is promised.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { FEATURES } from '../../../chaos/history.js'
import { INVARIANTS } from '../../../chaos/judge/invariants.js'

const root = new URL('../../../', import.meta.url)
const page = readFileSync(new URL('docs/promises.md', root), 'utf8')
const [, section = ''] = page.split('\n## Every feature\n')
const text = section.slice(0, section.indexOf('\n## '))
const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
const names = (cell: string) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name as string)
const known = [...INVARIANTS.map(({ name }) => name), 'recovery']

describe('docs/promises.md', () => {
  it('has a row for each feature', () => {
    assert.deepEqual(rows.map(([, feature]) => feature?.replaceAll('`', '')).sort(), [...FEATURES].sort())
  })

  it('says by which invariants each feature is judged', () => {
    for (const row of rows) {
      const judges = names(row[4] ?? '')
      assert.ok(judges.length > 0, row[1])
      for (const name of judges) assert.ok(known.includes(name), `there is no invariant ${name}`)
    }
  })

  it('names each invariant', () => {
    const named = new Set(names(text))
    assert.deepEqual(
      known.filter((name) => !named.has(name)),
      [],
    )
  })
})

describe('the invariants', () => {
  it('are named like their files, and each has tests', () => {
    const files = (path: string, ending: string) => readdirSync(new URL(path, root)).map((file) => file.replace(ending, ''))
    const all = INVARIANTS.map(({ name }) => name).sort()
    assert.deepEqual(files('chaos/judge/invariants/', '.ts').sort(), all)
    assert.deepEqual(files('test/chaos/judge/invariants/', '.test.ts').sort(), all)
  })
})
