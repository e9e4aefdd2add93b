import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { COMMANDS } from '../../lib/cli/commands.js'
import { run } from '../../lib/cli/run.js'
import { loadTimers } from '../../lib/cli/timers-module.js'
import { openProject, type Project, timersModule } from '../support/command-line.js'
import { openDatabase } from '../support/database.js'
import { freePort } from '../support/free-port.js'
import { type Refusal, refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'

const NAMES = Object.keys(COMMANDS).join(', ')
const LIB = new URL('../../lib/index.ts', import.meta.url).href
const timersNamed = (prefix: string) => `orderTimers({ redis: false, prefix: '${prefix}', rules: { order_other: async () => {} } })`
const importing = `import { orderTimers } from '${LIB}'\n`

describe('the command line', () => {
  let project: Project

  beforeEach(async () => {
    project = await openProject()
  })

  afterEach(() => project.close())

  /** One run in this process. */
  const typed = async (...args: string[]) => {
    const [printed, remarked]: [string[], string[]] = [[], []]
    const { directory } = project
    const status = await run(args, { directory, print: (text) => printed.push(text), remark: (text) => remarked.push(text) })
    return { status, stdout: printed.join('\n'), stderr: remarked.join('\n') }
  }

  describe('refuses, with exit status 2 and the way to write it,', () => {
    const mistakes: [string, string[], string][] = [
      ['nothing', [], `order-timers: say what to do; the commands are ${NAMES} (order-timers --help)`],
      [
        'a command that it does not know',
        ['plann'],
        `order-timers: there is no command "plann" (did you mean plan?); the commands are ${NAMES} (order-timers --help)`,
      ],
      [
        'a word that every object has',
        ['constructor'],
        `order-timers: there is no command "constructor"; the commands are ${NAMES} (order-timers --help)`,
      ],
      [
        'an option that it does not know',
        ['plan', '--jsn'],
        "order-timers: Unknown option '--jsn' (did you mean --json?); write: order-timers plan [--json] [--days N]",
      ],
      ["another command's option", ['status', '--stale'], "order-timers: Unknown option '--stale'; write: order-timers status [--json]"],
      ['days that are none', ['plan', '--days', '0'], 'order-timers: --days must be a whole number from 1 to 366, got "0"'],
      ['days in another notation', ['plan', '--days', '1e2'], 'order-timers: --days must be a whole number from 1 to 366, got "1e2"'],
      [
        'a command in capitals',
        ['PLAN'],
        `order-timers: there is no command "PLAN" (did you mean plan?); the commands are ${NAMES} (order-timers --help)`,
      ],
      [
        'an option that takes one value, twice',
        ['sweep', '--kind', 'a', '--kind', 'b'],
        'order-timers: --kind is given more than once; write: order-timers sweep [--stale [--yes] [--reason TEXT]] [--kind KIND] [--json]',
      ],
      [
        'a yes to nothing',
        ['sweep', '--yes'],
        'order-timers: --yes is for --stale; without that, a sweep settles what is overdue and asks nothing',
      ],
      [
        'no kind',
        ['release'],
        'order-timers: KIND is missing; write: order-timers release KIND [--shift | --no-shift | --grace DURATION] [--expect N] [--what hold|brake] [--reason TEXT] [--json]',
      ],
      [
        'a word too many',
        ['release', 'a', 'b'],
        'order-timers: "b" is one argument too many; write: order-timers release KIND [--shift | --no-shift | --grace DURATION] [--expect N] [--what hold|brake] [--reason TEXT] [--json]',
      ],
    ]
    for (const [what, args, message] of mistakes) {
      it(what, async () => {
        assert.deepEqual(await typed(...args), { status: 2, stdout: '', stderr: message })
      })
    }
  })

  it('prints no control codes of terminals, whoever wrote them', async () => {
    const { status, stderr } = await typed('plan', '--\u001b[2J\u009b')
    assert.deepEqual([status, /Unknown option '-- \[2J '/.test(stderr)], [2, true], stderr)
  })

  it('says what it can do', async () => {
    const { status, stdout, stderr } = await typed('--help')
    assert.deepEqual([status, stderr], [0, ''])
    for (const command of Object.keys(COMMANDS)) {
      assert.match(stdout, new RegExp(`^  order-timers ${command}`, 'm'))
      const one = await typed(command, '--help')
      assert.match(one.stdout, new RegExp(`^order-timers ${command} .*\\[--module FILE\\]\n\n.*\n\nExample: order-timers ${command}`))
      assert.deepEqual(one, await typed('help', command))
    }
    const one = await typed('release', '--help')
    assert.deepEqual(one, {
      status: 0,
      stdout:
        'order-timers release KIND [--shift | --no-shift | --grace DURATION] [--expect N] [--what hold|brake] [--reason TEXT] [--json] [--module FILE]\n\nreleases a rule that its brake has stopped, or that is held; running workers settle at once what was held. --shift first moves every coming deadline by the length of the hold\n\nExample: order-timers release order_confirm',
      stderr: '',
    })
  })

  it('ends with 3 where Postgres does not answer, whichever command has to ask it', async () => {
    const nowhere = { url: `postgres://shop:secret@127.0.0.1:${await freePort()}/shop`, schema: 'public' }
    const rule = "order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' })"
    const commands = [['plan'], ['sweep'], ['sweep', '--stale'], ['sweep', '--stale', '--yes']]
    for (const [index, command] of commands.flatMap((words) => [words, [...words, '--json']]).entries()) {
      const file = `${index}.mjs` // each run closes its timers
      await project.write(file, timersModule(nowhere, rule, 'redis: false, logger: false'))
      const { status, stdout, stderr } = await typed(...command, '--module', file)
      assert.equal(status, 3, command.join(' '))
      assert.doesNotMatch(stdout + stderr, /secret/)
    }
  }).timeout(60_000)

  it('closes the timers and the Sequelize of their rules behind it', async () => {
    const database = await openDatabase()
    const rule = "order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' })"
    await project.write('timers.mjs', timersModule(database, rule))
    const { status, stderr } = await typed('plan')
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
    const { timers, sequelize } = await import(pathToFileURL(join(project.directory, 'timers.mjs')).href)
    await assert.rejects(timers.schedule('order_pay', 1), { code: 'ERR_ORDER_TIMERS_CLOSED' })
    await assert.rejects(sequelize.query('SELECT 1'), /closed/)
    await database.close()
  })

  it('names the error by its code, with exit status 2 for an unknown rule', async () => {
    await project.write('timers.mjs', `${importing}export const timers = ${timersNamed('a:')}`)
    assert.deepEqual(await typed('release', 'order_othr'), {
      status: 2,
      stdout: '',
      stderr: 'orderTimers: there is no rule "order_othr"; the rules are "order_other" (ERR_ORDER_TIMERS_UNKNOWN_KIND)',
    })
  })

  describe("finds the shop's timers", () => {
    const prefixFound = async (given?: string) => {
      const timers = await loadTimers(given, project.directory)
      const { prefix } = runtimeOf(timers).keys
      await timers.close()
      return prefix
    }
    const notFound = async (given?: string): Promise<Refusal> => {
      const refusal = await refused(() => loadTimers(given, project.directory))
      assert.deepEqual([refusal.code, refusal.status], ['ERR_ORDER_TIMERS_TIMERS_NOT_FOUND', 500])
      return refusal
    }

    it('in timers.mjs, before a module of a folder', async () => {
      await mkdir(join(project.directory, 'dist'))
      await project.write('dist/timers.mjs', `${importing}export const timers = ${timersNamed('dist:')}`)
      assert.equal(await prefixFound(), 'dist:')
      await project.write('timers.mjs', `${importing}export const timers = ${timersNamed('here:')}`)
      assert.equal(await prefixFound(), 'here:')
    })

    it('in the module that package.json names, and first in the one that --module names', async () => {
      await project.write('timers.mjs', `${importing}export const timers = ${timersNamed('usual:')}`)
      await project.write('package.json', JSON.stringify({ 'order-timers': { module: './own.mjs' } }))
      await project.write('own.mjs', `${importing}export const timers = ${timersNamed('package:')}`)
      await project.write('given.mjs', `${importing}export const timers = ${timersNamed('given:')}`)
      assert.equal(await prefixFound(), 'package:')
      assert.equal(await prefixFound('./given.mjs'), 'given:')
    })

    it('by the name "timers", as the default export, or as the only ones that there are', async () => {
      const [a, b] = [timersNamed('a:'), timersNamed('b:')]
      const modules: [string, string][] = [
        [`export const other = ${b}\nexport const timers = ${a}`, 'a:'],
        [`export const other = ${b}\nexport default ${a}`, 'a:'],
        [`export default { timers: ${a} }`, 'a:'],
        [`export const mine = ${a}\nexport const port = 3000`, 'a:'],
      ]
      for (const [index, [text, prefix]] of modules.entries()) {
        await project.write(`${index}.mjs`, importing + text)
        assert.equal(await prefixFound(`${index}.mjs`), prefix, text)
      }
    })

    it('or says where it looked', async () => {
      const { message } = await notFound()
      assert.ok(message.includes(`in "${project.directory}", looked for timers.js, timers.mjs, timers.cjs, dist/timers.js, `), message)
      assert.ok(
        message.endsWith(
          '; name it with --module ./path/to/timers.js, or in package.json: "order-timers": { "module": "./path/to/timers.js" }',
        ),
      )
    })

    it('or says that a folder is no file', async () => {
      for (const given of ['', '.'])
        assert.match((await notFound(given)).message, / is a folder; name the file in it that exports your timers$/)
    })

    it('or says that there is no such file', async () => {
      assert.match((await notFound('./tmiers.js')).message, /there is no file ".*tmiers\.js"; name the one that exports your timers/)
    })

    it('or says that it is not clear which are meant, or that none are', async () => {
      await project.write('two.mjs', `${importing}export const a = ${timersNamed('a:')}\nexport const b = ${timersNamed('b:')}`)
      assert.match(
        (await notFound('two.mjs')).message,
        /exports a, b, and 2 of them are timers; export the timers that are meant as "timers"$/,
      )
      await project.write('none.mjs', 'export const app = () => {}')
      assert.match((await notFound('none.mjs')).message, /exports app, and none of them is what orderTimers\(\{ … \}\) returns;/)
      await project.write('maker.mjs', 'export function makeTimers() { throw new Error("called") }\nexport const other = () => {}')
      assert.match(
        (await notFound('maker.mjs')).message,
        /exports makeTimers, other, and none .* returns; if makeTimers makes them, name a module that calls it: export const timers = makeTimers\(…\)$/,
      )
    })

    it('or says why the module could not be loaded, and where', async () => {
      await project.write('broken.mjs', "throw new Error('no DATABASE_URL')")
      assert.match((await notFound('broken.mjs')).message, /broken\.mjs" could not be loaded \(no DATABASE_URL\)$/)
      const { status, stderr } = await typed('plan', '--module', 'broken.mjs')
      assert.equal(status, 3)
      assert.match(stderr, /\n +at .*broken\.mjs:1/)
    })
  })
})
