// The pages that list what there is, held against the public face: events with their payloads, faults, the worker's options, commands with
// their options.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { COMMANDS } from '../lib/cli/commands.js'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const types = read('test/public-face/types-of-main.txt')
const events = read('docs/events.md')
const worker = read('docs/worker.md')
const cli = read('docs/cli.md')
const rules = read('docs/rules.md')

/** The lines between the head of a declaration and the line that ends it. */
function declared(head: string, end: string): string {
  const [, rest = ''] = types.split(`\n${head}\n`)
  return rest.slice(0, rest.indexOf(end))
}

/** The cells of the row of a table that begins with this name. */
function row(page: string, name: string): string[] {
  const line = page.split('\n').find((one) => one.startsWith(`| \`${name}\` |`)) ?? assert.fail(`no table has a row ${name}`)
  return line.split(' | ')
}

describe('docs/events.md', () => {
  const payloads = [...declared('export interface WorkerEvents {', '\n}').matchAll(/^ {2}(\w+): \[(?:\{ (.*) \})?\]$/gm)]

  it('has each event with what its payload has', () => {
    assert.ok(payloads.length > 10)
    for (const [, event = '', fields = ''] of payloads) {
      const names = fields.split('; ').map((field) => field.split(':')[0] ?? '')
      const shown = /\{ ([^}]*) \}/.exec(row(events, event).at(-1) ?? '')?.[1] ?? ''
      assert.equal(shown, names.join(', '), event)
    }
  })

  it('has each fault', () => {
    const codes = [...declared('export type FaultCode =', '\n\n').matchAll(/'(\w+)'/g)].map(([, code]) => code as string)
    assert.ok(codes.length > 10)
    for (const code of codes) row(events, code)
  })
})

describe('docs/rules.md', () => {
  const heads = ['DeadlineOptions', 'SinceOptions', 'RedisOnlyOptions', 'EffectOptions'].map(
    (name) => `export type ${name}<M extends Model> =`,
  )
  const declarations = [...heads, 'export interface OrderTimersOptions<R extends Rules = Rules> {']
  const options = declarations.flatMap((head) => {
    const [, rest = ''] = types.split(`\n${head}`)
    const [declaration = ''] = rest.split('\nexport ')
    return [...declaration.matchAll(/(?:^ +|[{;] )(\w+)\??: /gm)].map(([, option]) => option as string)
  })

  it('has each option of rules and of orderTimers, once', () => {
    const within = ['keep', 'while', 'max', 'per'] // of `pause` and `brake`
    const wanted = new Set(options.filter((option) => !within.includes(option)))
    assert.ok(wanted.size > 25)
    const listed = [...rules.matchAll(/^\| `(\w+)` \|/gm)].map(([, option]) => option as string)
    assert.deepEqual(listed.sort(), [...wanted].sort())
  })
})

describe('docs/worker.md', () => {
  it("has each of the worker's options", () => {
    const options = [...declared('export interface WorkerOptions {', '\n}').matchAll(/^ {2}(\w+)\?:/gm)].map(
      ([, option]) => option as string,
    )
    assert.ok(options.length > 3)
    for (const option of options) row(worker, option)
  })

  it("has each of health()'s counters", () => {
    const counters = [...declared('export interface Health {', '\n}').matchAll(/^ {6}(\w+): number/gm)].map(([, name]) => name as string)
    assert.ok(counters.length > 5)
    for (const counter of counters) assert.ok(row(worker, 'kinds').join().includes(`\`${counter}\``), counter)
  })
})

describe('docs/cli.md', () => {
  it('has each command, with its options', () => {
    const own = (option: string) => !['json', 'module'].includes(option)
    for (const [name, { options }] of Object.entries(COMMANDS)) {
      assert.ok(cli.includes(`| [\`${name}\`](#`), name)
      for (const option of Object.keys(options).filter(own)) assert.ok(cli.includes(`--${option}`), `${name} --${option}`)
    }
    for (const option of ['--json', '--module FILE']) assert.ok(cli.includes(option), option)
  })
})
