import assert from 'node:assert/strict'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadTimers } from '../../lib/cli/timers-module.js'
import { type Ended, openProject, type Project, runProgram } from '../support/command-line.js'
import { refused } from '../support/refused.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const ESM = "import { orderTimers } from 'express-order-timers'\n"
const COMMONJS = "const { orderTimers } = require('express-order-timers')\n"
const made = (kind = 'order_other') => `orderTimers({ redis: false, rules: { ${kind}: async () => {} } })`

// The program as it is built, under plain Node: nothing of the tests' own loader reads the shop's modules.
describe("the shop's module", function () {
  this.timeout(60_000)
  let project: Project

  beforeEach(async () => {
    project = await openProject()
    await mkdir(join(project.directory, 'node_modules'))
    await symlink(root, join(project.directory, 'node_modules', 'express-order-timers'))
  })

  afterEach(() => project.close())

  const link = (name: string) => symlink(join(root, 'node_modules', name), join(project.directory, 'node_modules', name))
  const program = join(root, 'dist', 'esm', 'cli', 'main.js')
  const orderTimers = (args: string[], options: { node?: string[]; env?: Record<string, string>; within?: number } = {}): Promise<Ended> =>
    runProgram([...(options.node ?? []), program, ...args], project.directory, options.within, options.env)
  /** The rules that it finds. */
  const found = async (file: string, options: Parameters<typeof orderTimers>[1] = {}) => {
    const { status, stdout, stderr } = await orderTimers(['plan', '--json', '--module', file], options)
    assert.deepEqual([status, stderr], [0, ''])
    return (JSON.parse(stdout).rules as { kind: string }[]).map(({ kind }) => kind)
  }

  describe('may be', () => {
    const compiled = 'Object.defineProperty(exports, "__esModule", { value: true })\n'
    const forms: [string, string, string, string?][] = [
      ['an ES module with `timers`', 'timers.mjs', `${ESM}export const timers = ${made()}`],
      ['an ES module with a default export', 'timers.mjs', `${ESM}export default ${made()}`],
      ['an ES module whose default export has `timers`', 'timers.mjs', `${ESM}export default { timers: ${made()} }`],
      ['CommonJS with module.exports', 'timers.js', `${COMMONJS}module.exports = ${made()}`],
      ['CommonJS with exports.timers', 'timers.js', `${COMMONJS}exports.timers = ${made()}`],
      ['CommonJS in a package that says so', 'timers.js', `${COMMONJS}exports.timers = ${made()}`, '{ "type": "commonjs" }'],
      [
        'CommonJS with the extension of it in a package of ES modules',
        'timers.cjs',
        `${COMMONJS}exports.timers = ${made()}`,
        '{ "type": "module" }',
      ],
      ['compiled from an ES module with a default export', 'timers.js', `${compiled}${COMMONJS}exports.default = ${made()}`],
      ['compiled from one whose default export has `timers`', 'timers.js', `${compiled}${COMMONJS}exports.default = { timers: ${made()} }`],
      ['compiled twice', 'timers.js', `${compiled}${COMMONJS}exports.default = { __esModule: true, default: ${made()} }`],
    ]
    for (const [what, file, text, packageJson] of forms) {
      it(what, async () => {
        await project.write(file, text)
        if (packageJson) await project.write('package.json', packageJson)
        assert.deepEqual(await found(file), ['order_other'])
      })
    }

    // esbuild compiles what is required, as Babel's hook does: both patch Node's own table of extensions.
    it('ES modules that a require hook compiles, as under Babel', async () => {
      await link('esbuild')
      await project.write(
        'hook.cjs',
        `const { transformSync } = require('esbuild')
for (const extension of ['.js', '.ts']) require.extensions[extension] = (module, file) => {
  const text = require('node:fs').readFileSync(file, 'utf8')
  if (file.includes('node_modules') || file.includes('/dist/')) return module._compile(text, file)
  module._compile(transformSync(text, { format: 'cjs', loader: 'ts' }).code, file)
}`,
      )
      await project.write('kinds.js', "export const kind = 'order_babel'")
      await project.write('timers.js', `${ESM}import { kind } from './kinds'\nexport const timers = ${made('[kind]')}`)
      await project.write(
        'timers2.ts',
        `${ESM}import { kind } from './kinds'\nenum Kind { A }\nexport const timers = ${made('[kind + Kind.A]')}`,
      )
      const hooked = { env: { NODE_OPTIONS: '--require ./hook.cjs' } }
      assert.deepEqual(await found('timers.js', hooked), ['order_babel'])
      assert.deepEqual(await found('timers2.ts', hooked), ['order_babel0'])
      // The shop's own hook, under the name that Babel's has, though nobody put it into NODE_OPTIONS.
      await mkdir(join(project.directory, 'node_modules', '@babel'))
      await mkdir(join(project.directory, 'node_modules', '@babel', 'register'))
      await project.write('node_modules/@babel/register/index.js', "require('../../../hook.cjs')")
      const { status, stdout } = await orderTimers(['plan', '--json'])
      assert.deepEqual([status, JSON.parse(stdout).rules[0].kind], [0, 'order_babel'])
    })

    it('TypeScript, where the shop has tsx in its node_modules or in NODE_OPTIONS', async () => {
      await link('tsx')
      await mkdir(join(project.directory, 'src'))
      await project.write('src/kinds.ts', "export enum Kind { Other = 'order_ts' }")
      await project.write(
        'src/timers.ts',
        `${ESM}import { Kind } from './kinds.js'\nexport const timers = ${made('[Kind.Other as string]')}`,
      )
      for (const type of ['module', 'commonjs']) {
        await project.write('package.json', JSON.stringify({ type }))
        const { status, stdout, stderr } = await orderTimers(['plan', '--json'])
        assert.deepEqual([status, stderr, JSON.parse(stdout).rules[0].kind], [0, '', 'order_ts'])
        assert.deepEqual(await found('src/timers.ts', { env: { NODE_OPTIONS: '--import tsx' } }), ['order_ts'])
      }
      await mkdir(join(project.directory, 'dist'))
      await project.write('dist/timers.mjs', `${ESM}export const timers = ${made('compiled')}`)
      assert.equal(JSON.parse((await orderTimers(['plan', '--json'])).stdout).rules[0].kind, 'compiled')
    })

    it('TypeScript without a loader, where Node reads it itself; else the remedy is said', async () => {
      await project.write('timers.ts', `${ESM}export const timers = ${made()} satisfies Function`)
      await project.write('package.json', '{ "type": "module" }')
      if ((process.features as { typescript?: unknown }).typescript) return assert.deepEqual(await found('timers.ts'), ['order_other'])
      const { status, stderr } = await orderTimers(['plan'])
      assert.equal(status, 3)
      assert.match(
        stderr,
        /timers\.ts" is TypeScript, and neither Node 2\d\.\S+ nor a loader of yours can read it; install tsx \(npm install --save-dev tsx\), use Node/,
      )
    })
  })

  describe('is reported for', () => {
    const throws: [string, string, string, RegExp][] = [
      [
        'an error',
        'timers.mjs',
        "throw new Error('no DATABASE_URL')",
        /could not be loaded \(no DATABASE_URL\)[\s\S]*\n +at .*timers\.mjs:1/,
      ],
      ['what is no error', 'timers.cjs', 'throw { password: 1 }', /could not be loaded \(/],
      [
        'JSON that is none, and not run twice',
        'timers.cjs',
        "console.log('run'); JSON.parse('{')",
        /^run\norder-timers: .*could not be loaded \(/,
      ],
      ['a mistake of its language', 'timers.mjs', 'export const = 1', /could not be loaded \(/],
      [
        'a module that it needs and that is not there',
        'timers.mjs',
        "import './models.mjs'",
        /could not be loaded \(Cannot find module .*models\.mjs/,
      ],
      [
        'the end of the process',
        'timers.mjs',
        'process.exit(0)',
        /^order-timers: your module ended the process \(status 0\) before it had exported the timers/,
      ],
    ]
    for (const [what, file, text, expected] of throws) {
      it(`throwing ${what}`.replace('throwing the end', 'the end'), async () => {
        await project.write(file, text)
        const { status, stdout, stderr } = await orderTimers(['plan', '--json'])
        assert.deepEqual([status, stdout], [3, ''])
        assert.match(stderr, expected)
      })
    }

    it('an await that never ends', async () => {
      await project.write('timers.mjs', `await new Promise(() => {})`)
      const { code, message } = await refused(() => loadTimers(undefined, project.directory, { limitMs: 1_000 }))
      assert.equal(code, 'ERR_ORDER_TIMERS_TIMERS_NOT_FOUND')
      assert.match(message, /timers\.mjs" was not loaded after 1 s; an "await" at its top level waits for something;/)
    })

    it('a server and a worker that it starts, and the command is carried out', async () => {
      const start = "import { createServer } from 'node:http'\nimport { startExpiryWorker } from 'express-order-timers'\n"
      await project.write(
        'timers.mjs',
        `${start}${ESM}export const timers = ${made()}\ncreateServer().listen(0)\nstartExpiryWorker(timers)`,
      )
      const { status, stdout, stderr } = await orderTimers(['plan', '--json'])
      assert.deepEqual([status, JSON.parse(stdout).rules.length], [0, 1])
      assert.match(
        stderr,
        /timers\.mjs" has started a server and a worker, which settles orders meanwhile; export the timers from a module that only/,
      )
    })
  })

  it('keeps stdout pure whatever it prints, and by whatever means', async () => {
    const prints = `import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { execFileSync } from 'node:child_process'
console.log('log'); console.info('info'); console.debug('debug'); console.table([1]); console.dir({})
process.stdout.write('stream\\n'); writeSync(1, 'descriptor\\n')
execFileSync(process.execPath, ['-e', "console.log('child')"], { stdio: 'inherit' })
await new Promise((resolve) => new Worker("require('node:fs').writeSync(1, 'thread\\\\n')", { eval: true }).on('exit', resolve))
const logger = Object.fromEntries(['debug', 'info', 'warn', 'error'].map((level) => [level, (...all) => console.log(...all)]))\n`
    await project.write('timers.mjs', `${prints}${ESM}export const timers = ${made().replace('rules:', 'logger, rules:')}`)
    for (const args of [
      ['plan', '--json'],
      ['status', '--json'],
      ['sweep', '--json'],
    ]) {
      const { status, stdout, stderr } = await orderTimers(args)
      assert.equal(status, 0)
      assert.equal(typeof JSON.parse(stdout), 'object')
      for (const word of ['log', 'info', 'debug', 'stream', 'descriptor', 'child', 'thread'])
        assert.match(stderr, new RegExp(`^${word}$`, 'm'))
    }
  })
})
