import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { ERROR_CODES, type ErrorName, OrderTimersError, refuseUnknownOptions, show } from '../lib/errors.js'
import type { FaultCode } from '../lib/index.js'
import { refusal, refused } from './support/refused.js'

/** Every fault code there is; the compiler refuses a list that lacks one. */
const FAULTS: Record<FaultCode, true> = {
  REDIS_UNAVAILABLE: true,
  REDIS_REFUSES: true,
  REDIS_LOST_DATA: true,
  REDIS_UNUSABLE: true,
  SUBSCRIBE_REFUSED: true,
  SCAN_REFUSED: true,
  EVENTS_OFF: true,
  EVICTION: true,
  POSTGRES_UNAVAILABLE: true,
  SWEEP_FAILED: true,
  SWEEP_BLOCKED: true,
  INVALID_MODEL: true,
  NOT_LOOKED_AT: true,
  INTERNAL: true,
  BRAKED: true,
  RUN_UNFINISHED: true,
  VERIFY_FAILED: true,
  UNVERIFIED: true,
  ROW_LOCKED: true,
  KIND_UNSERVED: true,
  RULES_DIFFER: true,
  OTHER_REDIS: true,
  PREFIX_SHARED: true,
}

describe('docs/errors.md', () => {
  const [errors = '', faults = ''] = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8').split('\n# Faults')
  const sections = new Map(
    errors
      .split('\n## ')
      .slice(1)
      .map((section) => [section.slice(0, section.indexOf('\n')), section]),
  )

  it('has a heading for each code there is, and for no other', () => {
    assert.deepEqual([...sections.keys()].sort(), [...ERROR_CODES].sort())
  })

  it("says each error's status, its cause and the fix", () => {
    for (const code of ERROR_CODES) {
      const { status } = new OrderTimersError(code.replace('ERR_ORDER_TIMERS_', '') as ErrorName, '')
      const section = sections.get(code) as string
      assert.match(
        section,
        new RegExp(`^ERR_\\w+\n\nStatus ${status}\\. Thrown [^]+\n\n\\*\\*Cause\\.\\*\\* [^]+\n\n\\*\\*Fix\\.\\*\\* \\S`),
      )
    }
  })

  it('says of each fault of a running worker what is wrong, what still works and what to do', () => {
    const rows = [...faults.matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)]
    assert.deepEqual(rows.map(([, code]) => code).sort(), Object.keys(FAULTS).sort())
  })

  it('says of each other code in the log when its line is written', () => {
    const rows = [...faults.matchAll(/^\| `([A-Z_]+)` \| [a-z, ]+ \| [^|\n]+ \|$/gm)]
    const lib = new URL('../lib/', import.meta.url)
    const sources = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.ts') && !file.endsWith('verdict.ts'),
    )
    // A verdict is what `status` and the admin page say, and no line.
    const logged = sources.flatMap((file) => [...readFileSync(new URL(file, lib), 'utf8').matchAll(/\bcode: '(?!ERR_)([A-Z_]+)'/g)])
    const codes = new Set(logged.map(([, code = '']) => code).filter((code) => !Object.hasOwn(FAULTS, code)))
    assert.deepEqual(rows.map(([, code]) => code).sort(), [...codes].sort())
  })
})

describe('an error of this package', () => {
  it('may be shown to a client when the client caused it, and keeps its cause', () => {
    const cause = new Error('beneath')
    const theirs = new OrderTimersError('ORDER_NOT_FOUND', 'there is none')
    const ours = new OrderTimersError('POSTGRES_UNAVAILABLE', 'down', { cause })
    assert.deepEqual(
      [theirs.name, theirs.code, theirs.status, theirs.expose],
      ['OrderTimersError', 'ERR_ORDER_TIMERS_ORDER_NOT_FOUND', 404, true],
    )
    assert.deepEqual([ours.code, ours.status, ours.expose, ours.cause], ['ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE', 503, false, cause])
  })

  it('shows text escaped and everything cut to 128 characters', () => {
    assert.equal(show('34\r\n[ERROR] forged\u001b[31m\0'), '"34\\r\\n[ERROR] forged\\u001b[31m\\u0000"')
    assert.equal(show('x'.repeat(1_000_000)), `"${'x'.repeat(126)}…`)
    assert.equal(show('\0'.repeat(1_000_000)).length, 128)
    assert.equal(show([1, 'a', { b: { c: {} } }]), 'an array of 3')
    assert.equal(show(undefined), 'undefined')
    assert.equal(show(9007199254740993n), '9007199254740993n')
  })

  it('names the option that is not known and those that are', async () => {
    assert.deepEqual(
      await refused(() => refuseUnknownOptions('somewhere', { known: 1, 'un\nknown': 2 }, ['known', 'other'])),
      refusal('INVALID_OPTION', 500, 'somewhere: unknown option "un\\nknown"; the options are known, other'),
    )
  })
})
