// The table in docs/doctor.md has each fault that the tests set up, with the name under which the doctor tells it, and no other.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { ORDERS_FAULTS } from './orders-faults.js'
import { POSTGRES_FAULTS } from './postgres-faults.js'
import { PROCESS_FAULTS } from './process-faults.js'
import { REDIS_FAULTS } from './redis-faults.js'
import { RIGHTS_FAULTS } from './rights-faults.js'

const page = readFileSync(new URL('../../../docs/doctor.md', import.meta.url), 'utf8')
const FAULTS = [...PROCESS_FAULTS, ...REDIS_FAULTS, ...RIGHTS_FAULTS, ...POSTGRES_FAULTS, ...ORDERS_FAULTS]
const SIGNS = { wrong: '✘', unseen: '?', advice: '!', fine: '✔' }

describe('docs/doctor.md', () => {
  it('lists each fault that the tests set up, as the doctor reports it', () => {
    const rows = [...page.matchAll(/^\| ([^|`]+) \| `(.)` `([\w.-]+)` \| (.+) \|$/gm)].map(([, what, sign, name]) => [what, sign, name])
    assert.ok(FAULTS.length >= 40)
    assert.deepEqual(
      rows,
      FAULTS.map(({ what, verdict = 'wrong', name }) => [what, SIGNS[verdict], name]),
    )
    assert.ok(page.includes(`these ${FAULTS.length} faults`))
  })

  it('names everything that the doctor can find wrong', () => {
    const folder = new URL('../../../lib/admin/doctor/', import.meta.url)
    const source = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8'))
    const names = new Set(
      [
        ...source.join('').matchAll(/'((?:armed|clocks|locks|orders|postgres|processes|redis|rules?|sweep|timers|versions)\.[a-z-]+)'/g),
      ].map(([, name]) => name),
    )
    names.delete('redis.conf') // where a remedy is typed
    assert.ok(names.size > 30)
    assert.deepEqual(
      [...names].filter((name) => !page.includes(`\`${name}\``)),
      [],
    )
  })
})
