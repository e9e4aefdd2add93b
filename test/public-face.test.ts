// What a shop may rely on, as files beside this test: types, error codes, health, and the command. Where the public face is meant to change,
// `UPDATE_PUBLIC_FACE=1 npm test -- test/public-face.test.ts` writes the files, and they are committed with the change. Names that are not
// exported and the layout of lib/ do not matter.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { COMMANDS } from '../lib/cli/commands.js'
import { ERROR_CODES, errorName, OrderTimersError } from '../lib/errors.js'
import { freePort } from './support/free-port.js'
import { emitDeclarations, publicTypes } from './support/public-types.js'
import { shapeOf } from './support/shape.js'
import { openShop, type ShopOptions } from './support/shop.js'
import { oneOfEach } from './support/shop-rules.js'
import { waitUntil } from './support/waiting.js'

const directory = new URL('public-face/', import.meta.url)

describe('the public face is as it was', function () {
  this.timeout(120_000)

  it('in the types of each entry of the package', async () => {
    const emitted = await mkdtemp(join(tmpdir(), 'order-timers-types-'))
    try {
      await emitDeclarations(emitted)
      const texts = await publicTypes(await entries(emitted))
      assert.deepEqual([...texts.keys()], ['.', './testing', './calendar', './admin', './countdown', './health', './tracing', './metrics'])
      for (const [entry, text] of texts) await holdAgainst(`types-of-${entry.replace(/^\.\/?/, '') || 'main'}.txt`, text)
    } finally {
      await rm(emitted, { recursive: true })
    }
  })

  it('in the codes of its errors, their status, and whether a client may see them', async () => {
    const lines = ERROR_CODES.map((code) => {
      const { status, expose } = new OrderTimersError(errorName(code), '')
      return `${code} ${status}${expose ? ' exposed' : ''}\n`
    })
    await holdAgainst('errors.txt', lines.sort().join(''))
  })

  it('in the shape of what health() returns, of a worker and of timers', async () => {
    const healths = {
      'Redis answers': await healthOf({}),
      'Redis does not answer': await healthOf({ redis: `redis://127.0.0.1:${await freePort()}` }),
      'redis: false': await healthOf({ redis: false }),
    }
    await holdAgainst('health.txt', `${shapeOf(healths)}\n`)
  })

  it("in the command's subcommands and their options", async () => {
    const sections = Object.entries(COMMANDS).map(([name, { usage, options, positionals, optional = 0 }]) => {
      const given = Object.entries(options).map(
        ([option, { type, multiple }]) => `  --${option} ${type}${multiple ? ', repeatable' : ''}\n`,
      )
      return `${usage}\n  ${name}: ${positionals.length} to ${positionals.length + optional} positionals\n${given.sort().join('')}`
    })
    const { bin } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
    await holdAgainst('command.txt', [`${Object.keys(bin)}\n`, ...sections.sort()].join('\n'))
  })
})

/** The declarations of each entry of package.json's `exports` that has code. */
async function entries(emitted: string): Promise<Record<string, string>> {
  const { exports } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
  const withTypes = Object.entries<{ import?: { types: string } }>(exports).filter(([, { import: found }]) => found)
  return Object.fromEntries(withTypes.map(([name, to]) => [name, join(emitted, to.import?.types.replace('./dist/esm/', '') ?? '')]))
}

/** Of a worker that has swept, and of its timers after a call. */
async function healthOf(options: ShopOptions): Promise<object> {
  const shop = await openShop((database) => ({ order_confirm: oneOfEach(database).order_confirm }), options)
  const worker = await shop.worker()
  const { armed } = await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }))
  const isSettled = (): boolean => {
    if (!worker.health().redis) return true
    const { events, externalScanMs } = worker.health().redis ?? {}
    return armed
      ? events !== undefined && externalScanMs !== undefined
      : worker.health().faults.length > 0 && shop.timers.health().faults.length > 0
  }
  await waitUntil(isSettled)
  const healths = { worker: worker.health(), timers: shop.timers.health() }
  await shop.close()
  return healths
}

async function holdAgainst(name: string, text: string): Promise<void> {
  const file = fileURLToPath(new URL(name, directory))
  if (process.env.UPDATE_PUBLIC_FACE) return writeFile(file, text)
  assert.equal(text, await readFile(file, 'utf8'), `${name}: UPDATE_PUBLIC_FACE=1 npm test -- test/public-face.test.ts writes it`)
}
