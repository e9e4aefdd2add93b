// The package as it would be published: packed, unpacked into projects of its own, and used there. What it needs beside itself is linked from
// this project's node_modules, so that nothing is fetched.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { flush } from '../support/armed.js'
import { blockOf } from '../support/book.js'
import { complaintsAbout } from '../support/compiler.js'
import { connectByHand } from '../support/database.js'
import { openRedis } from '../support/redis.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const NAME = 'express-order-timers'

/** The oldest versions of its peers that are promised, as they are named in this project's node_modules. */
const OLDEST = { express: 'express-oldest', ioredis: 'ioredis-oldest', sequelize: 'sequelize-oldest', 'prom-client': 'prom-client-oldest' }

/** From this version on, TypeScript 4.9 and later compile a model whose attributes are inferred: https://github.com/sequelize/sequelize/pull/15135 */
const INFERS_ATTRIBUTES = '6.25.2'

/** Of the compilers of this project, the oldest that can read the package's types. */
const OLDEST_COMPILER = 'typescript-oldest'
/** Those that shops have: the oldest, the last one that is written in JavaScript, and the newest. */
const COMPILERS = [OLDEST_COMPILER, 'typescript5', 'typescript']

describe('the package', function () {
  this.timeout(120_000)
  let directory: string
  let tarball: string
  let packed: string[]

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'order-timers-package-'))
    await run(process.execPath, [join(root, 'scripts', 'build.mjs')], { cwd: root })
    const { npm_execpath: started } = process.env
    const [command, ...args] = started !== undefined && basename(started) === 'npm-cli.js' ? [process.execPath, started] : ['npm']
    await run(command as string, [...args, 'pack', '--ignore-scripts', '--pack-destination', directory], { cwd: root })
    tarball = join(directory, (await readdir(directory)).find((name) => name.endsWith('.tgz')) as string)
    packed = (await run('tar', ['-tzf', tarball])).stdout.trim().split('\n')
    await installInto(directory, tarball)
    await cp(fileURLToPath(new URL('projects', import.meta.url)), directory, { recursive: true })
    if (isEarlier(await versionOf(directory, 'sequelize'), INFERS_ATTRIBUTES)) await writeOutAttributes(directory)
  })

  after(() => rm(directory, { recursive: true, force: true }))

  it('holds what was built and what must be read, and nothing else', () => {
    const files = packed.map((path) => path.replace(/^package\//, ''))
    for (const needed of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'dist/esm/index.js', 'dist/cjs/index.d.ts']) {
      assert.ok(files.includes(needed), `${needed} is missing`)
    }
    const others = files.filter(
      (path) =>
        !/^(dist\/(esm|cjs)\/.+\.(c?js|d\.c?ts)|dist\/(esm|cjs)\/package\.json|docs\/([\w-]+\/)?[\w-]+\.(md|svg|webp)|(package|README(\.zh-TW)?|CHANGELOG|LICENSE|SECURITY)(\.\w+)?)$/.test(
          path,
        ),
    )
    assert.deepEqual(others, [])
  })

  it('has all that its pages link to, and no source map that points to what it does not have', async () => {
    const installed = join(directory, 'node_modules', NAME)
    const pages = packed.map((path) => path.replace(/^package\//, '')).filter((path) => path.endsWith('.md'))
    assert.ok(pages.length > 3)
    for (const page of pages) {
      const text = await readFile(join(installed, page), 'utf8')
      for (const [, link = ''] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
        if (/(^|\/)(pictures\/|capacity\.md$|CONTRIBUTING\.md$)/.test(link)) continue // in the repository alone, and npm's page links there
        await access(join(installed, dirname(page), link)).catch(() => assert.fail(`${page} links to ${link}`))
      }
    }
    for (const path of await readdir(join(installed, 'dist'), { recursive: true })) {
      if (!/\.c?js$/.test(path)) continue
      assert.doesNotMatch(await readFile(join(installed, 'dist', path), 'utf8'), /^\/\/# sourceMappingURL=/m, path)
    }
  })

  it('contains nothing about the machine that it was built on', async () => {
    const installed = join(directory, 'node_modules', NAME)
    for (const path of await readdir(installed, { recursive: true })) {
      if (!/\.(js|ts|json|map)$/.test(path)) continue
      assert.ok(!(await readFile(join(installed, path), 'utf8')).includes(root.slice(0, -1)), path)
    }
  })

  describe("is installed by the README's lines", () => {
    /** As the README has it, but from the tarball. */
    const line = async (what: string) => {
      const found = new RegExp(`^npm install ${what}.*$`, 'm').exec(await readFile(join(root, 'README.md'), 'utf8'))
      assert.ok(found, `the README has no line to install ${what}`)
      return found[0].replace(NAME, tarball)
    }
    const versions = async (shop: string, names: string[]) => Promise.all(names.map((name) => versionOf(shop, name)))
    const loads = async (shop: string) => {
      const asked =
        "import('express-order-timers').then((m) => console.log(typeof m.orderTimers, typeof require('express-order-timers').transition))"
      assert.equal((await run(process.execPath, ['-e', asked], { cwd: shop })).stdout, 'function function\n')
    }
    const sh = (shop: string, command: string) =>
      run('sh', ['-c', `${command} --prefer-offline --no-audit --no-fund`], { cwd: shop, timeout: 90_000 })

    it('into a shop that has the rest, whose versions stay', async () => {
      const shop = join(directory, 'shop')
      await mkdir(shop)
      await writeFile(join(shop, 'package.json'), '{ "name": "shop", "version": "1.0.0", "private": true }')
      const had = { express: '4.17.0', pg: '8.7.1', sequelize: '6.21.0' }
      const wanted = Object.entries(had).map(([name, version]) => `${name}@${version}`)
      await sh(shop, `npm install ${wanted.join(' ')} --save-prefix=^ --package-lock-only`)
      await sh(shop, await line(NAME))
      assert.deepEqual(await versions(shop, Object.keys(had)), Object.values(had))
      const { dependencies } = JSON.parse(await readFile(join(shop, 'package.json'), 'utf8'))
      assert.deepEqual(
        Object.keys(had).map((name) => dependencies[name]),
        Object.values(had).map((version) => `^${version}`),
      )
      await loads(shop)
    })

    it('into a new shop, with all that it needs', async () => {
      const shop = join(directory, 'new-shop')
      await mkdir(shop)
      await writeFile(join(shop, 'package.json'), '{ "name": "shop", "version": "1.0.0", "private": true }')
      await sh(shop, await line(NAME))
      await sh(shop, await line('express '))
      const { dependencies } = JSON.parse(await readFile(join(shop, 'package.json'), 'utf8'))
      assert.deepEqual(Object.keys(dependencies), ['express', NAME, 'ioredis', 'pg', 'sequelize'])
      await loads(shop)
    })
  })

  describe('in JavaScript', () => {
    const programs = [
      ['as an ES module', 'esm.mjs'],
      ['as CommonJS', 'commonjs.cjs'],
      ['as both at once', 'both.mjs'],
    ] as const
    for (const [title, file] of programs) it(`does its job ${title}`, () => doesItsJob(directory, file))
  })

  it('does its job on the oldest versions that it takes', async () => {
    const { peerDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { peerDependencies: object }
    const older = join(directory, 'older')
    await installInto(older, tarball, OLDEST)
    for (const [name, range] of Object.entries(peerDependencies)) {
      assert.equal(range.split(' ')[0], `^${await versionOf(older, name)}`)
    }
    await cp(fileURLToPath(new URL('projects/javascript', import.meta.url)), join(older, 'javascript'), { recursive: true })
    await doesItsJob(older, 'esm.mjs')
  })

  it('does its job in a minified bundle that is an ES module, under the banner of docs/worker.md', async () => {
    const banner = blockOf('docs/worker.md', 'banner.js')
    const folder = join(directory, 'bundled-esm')
    await installInto(folder, tarball)
    await cp(fileURLToPath(new URL('projects/javascript', import.meta.url)), join(folder, 'javascript'), { recursive: true })
    await bundle(folder, 'javascript/bundled.mjs', 'javascript/bundle.mjs', '--format=esm', '--packages=bundle', `--banner:js=${banner}`)
    await doesItsJob(folder, 'bundle.mjs')
  })

  describe('in a minified CommonJS bundle', () => {
    for (const ioredis of ['ioredis', 'ioredis5']) {
      it(`does its job with ${ioredis}, web process and worker together`, async () => {
        const folder = join(directory, `bundled-${ioredis}`)
        await installInto(folder, tarball, { ioredis })
        await cp(fileURLToPath(new URL('projects/javascript', import.meta.url)), join(folder, 'javascript'), { recursive: true })
        await bundle(folder, 'javascript/bundled.mjs', 'javascript/bundle.cjs')
        await doesItsJob(folder, 'bundle.cjs')
      })

      it(`loads node-cron with ${ioredis} only where a worker starts`, async () => {
        const folder = join(directory, `web-${ioredis}`)
        await installInto(folder, tarball, { ioredis })
        const text = `import { orderTimers } from '${NAME}'
const timers = orderTimers({ logger: false, redis: false, rules: { order_other: () => {} } })
timers.close().then(() => console.log(typeof timers.schedule, Object.keys(require.cache).some((path) => path.includes('node-cron'))))`
        await writeFile(join(folder, 'web.mjs'), text)
        await bundle(folder, 'web.mjs', 'web.cjs', '--external:node-cron')
        assert.equal((await run(process.execPath, [join(folder, 'web.cjs')])).stdout, 'function false\n')
      })
    }
  })

  it('has what shops test with, as an ES module and as CommonJS', async () => {
    const names = ['assertNotScheduled', 'assertScheduled', 'expire']
    const asked = `${NAME}/testing`
    const forms = [
      ['--input-type=module', '-e', `console.log(JSON.stringify(Object.keys(await import('${asked}'))))`],
      ['--input-type=commonjs', '-e', `console.log(JSON.stringify(Object.keys(require('${asked}')).sort()))`],
    ]
    for (const form of forms) assert.deepEqual(JSON.parse((await run(process.execPath, form, { cwd: directory })).stdout), names)
  })

  it('has the admin page, with the files that a browser loads, in both forms', async () => {
    const asked = `
const timers = orderTimers({ logger: false, redis: false, rules: { order_other: () => {} } })
const server = require('node:http').createServer(express().use('/admin', orderTimersAdmin(timers, { authorize: () => ({ user: 'support', can: 'read' }) })))
server.listen(0, '127.0.0.1', async () => {
  const found = await Promise.all(['', 'app.js', 'app.css', 'data/now'].map((name) => fetch('http://127.0.0.1:' + server.address().port + '/admin/' + name).then((answer) => answer.status)))
  console.log(found.join())
  process.exit()
})`
    const commonjs = `const { orderTimers } = require('${NAME}'); const { orderTimersAdmin } = require('${NAME}/admin'); const express = require('express');${asked}`
    const esm = `import { createRequire } from 'node:module'; import express from 'express'; import { orderTimers } from '${NAME}'; import { orderTimersAdmin } from '${NAME}/admin'
const require = createRequire(import.meta.url);${asked}`
    for (const [type, text] of [
      ['module', esm],
      ['commonjs', commonjs],
    ] as const) {
      const { stdout } = await run(process.execPath, [`--input-type=${type}`, '-e', text], { cwd: directory })
      assert.equal(stdout.trim(), '200,200,200,200', type)
    }
  })

  it('has countdowns, with their element, in both forms', async () => {
    const asked = `
const timers = orderTimers({ logger: false, redis: false, rules: { order_other: () => {} } })
const server = require('node:http').createServer(express().use('/countdown', countdown(timers, { authorize: () => true })))
server.listen(0, '127.0.0.1', async () => {
  const answer = await fetch('http://127.0.0.1:' + server.address().port + '/countdown/order-countdown.js')
  console.log(answer.status, (await answer.text()).includes('customElements.define'))
  process.exit()
})`
    const commonjs = `const { orderTimers } = require('${NAME}'); const { countdown } = require('${NAME}/countdown'); const express = require('express');${asked}`
    const esm = `import { createRequire } from 'node:module'; import express from 'express'; import { orderTimers } from '${NAME}'; import { countdown } from '${NAME}/countdown'
const require = createRequire(import.meta.url);${asked}`
    for (const [type, text] of [
      ['module', esm],
      ['commonjs', commonjs],
    ] as const) {
      const { stdout } = await run(process.execPath, [`--input-type=${type}`, '-e', text], { cwd: directory })
      assert.equal(stdout.trim(), '200 true', type)
    }
  })

  it('has a calendar, which names the package that it lacks, and works with it', async () => {
    const made = `calendar({ timeZone: 'Asia/Taipei' }).addBusinessDays(Date.UTC(2026, 10, 27), 1).toISOString()`
    const tried = `try { console.log(${made}) } catch (error) { console.log(error.message) }`
    const forms = [
      ['--input-type=module', '-e', `const { calendar } = await import('${NAME}/calendar'); ${tried}`],
      ['--input-type=commonjs', '-e', `const { calendar } = require('${NAME}/calendar'); ${tried}`],
    ]
    const said = async (cwd: string) => Promise.all(forms.map(async (form) => (await run(process.execPath, form, { cwd })).stdout.trim()))
    for (const line of await said(directory)) assert.equal(line, '2026-11-30T00:00:00.000Z')
    const bare = await mkdtemp(join(tmpdir(), 'order-timers-bare-')) // beside, since modules are looked for in the folders above too
    try {
      await installInto(bare, tarball, { '@js-temporal': null })
      const expected = 'Temporal' in globalThis ? /^2026-11-30/ : /^calendar: .* npm install @js-temporal\/polyfill$/
      for (const line of await said(bare)) assert.match(line, expected)
    } finally {
      await rm(bare, { recursive: true })
    }
  })

  it('has tracing, which names the package that it lacks, and works with it', async () => {
    const use = `const timers = orderTimers({ redis: false, logger: false, rules: { order_other() {} } })
try { orderTimersTracing(timers)(); console.log('traced') } catch (error) { console.log(error.code, error.message) } timers.close()`
    const forms = [
      ['--input-type=module', '-e', `import { orderTimers } from '${NAME}'; import { orderTimersTracing } from '${NAME}/tracing'; ${use}`],
      [
        '--input-type=commonjs',
        '-e',
        `const { orderTimers } = require('${NAME}'); const { orderTimersTracing } = require('${NAME}/tracing'); ${use}`,
      ],
    ]
    const said = async (cwd: string) => Promise.all(forms.map(async (form) => (await run(process.execPath, form, { cwd })).stdout.trim()))
    for (const line of await said(directory)) assert.equal(line, 'traced')
    const bare = await mkdtemp(join(tmpdir(), 'order-timers-bare-'))
    try {
      await installInto(bare, tarball, { '@opentelemetry': null })
      for (const line of await said(bare)) assert.match(line, /^ERR_ORDER_TIMERS_MISSING_PACKAGE .* npm install @opentelemetry\/api$/)
    } finally {
      await rm(bare, { recursive: true })
    }
  })

  it('has metrics, which name the package that they lack, and go on its registry', async () => {
    const tried = `const timers = orderTimers({ redis: false, logger: false, rules: { order_other() {} } })
try { orderTimersMetrics(timers).stop(); console.log('fine') } catch ({ code, message }) { console.log(code, message) } finally { timers.close() }`
    const forms = [
      [
        '--input-type=module',
        '-e',
        `import { orderTimers } from '${NAME}'; import { orderTimersMetrics } from '${NAME}/metrics'; ${tried}`,
      ],
      [
        '--input-type=commonjs',
        '-e',
        `const { orderTimers } = require('${NAME}'); const { orderTimersMetrics } = require('${NAME}/metrics'); ${tried}`,
      ],
    ]
    const said = async (cwd: string) => Promise.all(forms.map(async (form) => (await run(process.execPath, form, { cwd })).stdout.trim()))
    for (const line of await said(directory)) assert.equal(line, 'fine')
    const bare = await mkdtemp(join(tmpdir(), 'order-timers-bare-'))
    try {
      await installInto(bare, tarball, { 'prom-client': null })
      for (const line of await said(bare))
        assert.match(line, /^ERR_ORDER_TIMERS_MISSING_PACKAGE orderTimersMetrics: .*; npm install prom-client$/)
    } finally {
      await rm(bare, { recursive: true })
    }
  })

  it('has routes for health, as an ES module and as CommonJS', async () => {
    const asked = `${NAME}/health`
    const use = `const { orderTimers } = await import('${NAME}'); const timers = orderTimers({ redis: false, logger: false, rules: { order_other() {} } })
const health = orderTimersHealth(timers); console.log(health.live().status, (await health.ready()).status); await timers.close()`
    const forms = [
      ['--input-type=module', '-e', `import { orderTimersHealth } from '${asked}'; ${use}`],
      ['--input-type=commonjs', '-e', `const { orderTimersHealth } = require('${asked}'); (async () => { ${use} })()`],
    ]
    for (const form of forms) assert.equal((await run(process.execPath, form, { cwd: directory })).stdout, 'ok ok\n')
  })

  describe('on the command line', () => {
    const projects = [
      ['an ES module', 'esm', /^export default /m],
      ['CommonJS', 'commonjs', /^module\.exports = /m],
    ] as const
    for (const [title, folder, exports] of projects) {
      it(`finds timers that are ${title}, makes their table ready, and settles by hand`, async () => {
        const schema = `t_${randomBytes(6).toString('hex')}`
        const [redis, client] = await Promise.all([openRedis(), connectByHand(process.env.DATABASE_URL as string, schema)])
        const env = { ...process.env, SCHEMA: schema, PREFIX: redis.prefix }
        const program = join(directory, 'node_modules', '.bin', 'order-timers')
        const orderTimers = (...args: string[]) =>
          run(program, args, { cwd: join(directory, 'command-line', folder), env, timeout: 30_000 })
        await client.query(`CREATE SCHEMA ${schema}`)
        await client.query('CREATE TABLE "Orders" (id serial PRIMARY KEY, status int, "createdAt" timestamptz, "updatedAt" timestamptz)')
        try {
          assert.match((await orderTimers('migration')).stdout, exports)
          await client.query((await orderTimers('migration', '--sql', '--trigger')).stdout)
          await client.query(`INSERT INTO "Orders" (status, "confirmDueAt") VALUES (4, now() - interval '1 minute')`)
          const status = await orderTimers('status', '--json').catch((error: { code: number; stdout: string; stderr: string }) => error)
          const { ok, rules, troubles } = JSON.parse(status.stdout)
          assert.deepEqual([ok, troubles[0].code, rules[0].rows.overdue, status.stderr], [false, 'NO_WORKER', 1, ''])
          assert.match((await orderTimers('sweep')).stdout, /^order_confirm +1 /m)
          assert.deepEqual((await client.query('SELECT status FROM "Orders"')).rows, [{ status: 5 }])
        } finally {
          await client.query(`DROP SCHEMA ${schema} CASCADE`)
          await client.end()
          await flush(redis)
          await redis.close()
        }
      })
    }
  })

  describe('in TypeScript', () => {
    const resolutions: [string, object, string][] = [
      ['an ES module', { module: 'nodenext' }, 'module'],
      ['CommonJS', { module: 'nodenext' }, 'commonjs'],
      ['what a bundler reads', { module: 'esnext', moduleResolution: 'bundler', lib: ['es2023', 'dom'] }, 'module'],
    ]
    for (const compiler of COMPILERS)
      for (const [title, options, type] of resolutions) {
        it(`compiles as ${title} with ${compiler}, and no mistake with it`, async () => {
          assert.deepEqual(await compile('typescript', type, options, compiler), [])
        })
      }

    it('is compiled with the oldest compiler that the README promises', async () => {
      const readme = await readFile(join(root, 'README.md'), 'utf8')
      const { version } = JSON.parse(await readFile(join(root, 'node_modules', OLDEST_COMPILER, 'package.json'), 'utf8')) as {
        version: string
      }
      assert.equal(/TypeScript,? .*?(\d\.\d) or later/.exec(readme)?.[1], version.split('.').slice(0, 2).join('.'))
    })

    it('compiles under exactOptionalPropertyTypes and noUncheckedIndexedAccess', async () => {
      const options = { module: 'nodenext', exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true }
      assert.deepEqual(await compile('typescript', 'module', options), [])
    })

    describe('with the oldest Sequelize', () => {
      let older: string

      before(async () => {
        older = join(directory, 'older-typescript')
        await installInto(older, tarball, OLDEST)
        await cp(fileURLToPath(new URL('projects', import.meta.url)), older, { recursive: true })
      })

      it('compiles no model whose attributes are inferred, as the docs say', async () => {
        const page = await readFile(join(root, 'docs', 'redis.md'), 'utf8')
        assert.equal(/`InferAttributes` .*?needs Sequelize (\d+\.\d+\.\d+)/s.exec(page)?.[1], INFERS_ATTRIBUTES)
        const alone = join(older, 'alone')
        await mkdir(alone)
        await cp(join(older, 'typescript', 'models.ts'), join(alone, 'models.ts'))
        const complaint = 'models.ts(5,34): error TS2589: Type instantiation is excessively deep and possibly infinite.'
        for (const compiler of COMPILERS)
          assert.deepEqual(await compile('alone', 'module', { module: 'nodenext' }, compiler, older), [complaint])
      })

      it('compiles where they are written out', async () => {
        await writeOutAttributes(older)
        for (const compiler of COMPILERS)
          for (const [, options, type] of resolutions) assert.deepEqual(await compile('typescript', type, options, compiler, older), [])
      })
    })

    it('takes any kind on a request where no timers are registered', async () => {
      assert.deepEqual(await compile('untyped', 'module', { module: 'nodenext' }), [])
    })

    it('reports an unknown kind', async () => {
      const mistake = join(directory, 'typescript', 'mistake.ts')
      await writeFile(mistake, "import { timers } from './shop.js'\n\nvoid timers.schedule('order_cofirm', 34)\n")
      const [line, ...more] = await compile('typescript', 'module', { module: 'nodenext' })
      await rm(mistake)
      assert.match(
        line as string,
        /^mistake\.ts\(3,22\): error TS2345: Argument of type '"order_cofirm"' is not assignable to parameter of type '"order_confirm" \| "order_other" \| "order_pay" \| "order_return" \| "order_ship" \| "order_unpaid"'\.$/,
      )
      assert.ok(
        more.every((text) => text.startsWith(' ')),
        more.join('\n'),
      )
    })
  })

  /** The compiler's complaints about a project. */
  async function compile(project: string, type: string, options: object, compiler = 'typescript', within = directory): Promise<string[]> {
    const folder = join(within, project)
    await writeFile(join(folder, 'package.json'), JSON.stringify({ type }))
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'es2022',
      lib: ['es2023'],
      types: ['node'],
      skipLibCheck: true,
      ...options,
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
    return complaintsAbout(folder, compiler)
  }
})

async function versionOf(directory: string, name: string): Promise<string> {
  return JSON.parse(await readFile(join(directory, 'node_modules', name, 'package.json'), 'utf8')).version
}

function isEarlier(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) < 0
}

/** The TypeScript project with a model that does without `InferAttributes`. */
async function writeOutAttributes(directory: string): Promise<void> {
  await cp(join(directory, 'written-out', 'models.ts'), join(directory, 'typescript', 'models.ts'))
}

/** As a shop bundles what it deploys; pg-native and pg-hstore are what pg and Sequelize do without. */
async function bundle(folder: string, from: string, to: string, ...more: string[]): Promise<void> {
  const esbuild = join(root, 'node_modules', 'esbuild', 'bin', 'esbuild')
  const options = [
    '--bundle',
    '--platform=node',
    '--format=cjs',
    '--minify',
    '--external:pg-native',
    '--log-level=error',
    '--preserve-symlinks',
  ]
  await run(esbuild, [join(folder, from), `--outfile=${join(folder, to)}`, ...options, ...more], { cwd: folder })
}

/** Runs a program of the JavaScript project's, which ships an order and says what became of it. */
async function doesItsJob(directory: string, file: string): Promise<void> {
  const schema = `t_${randomBytes(6).toString('hex')}`
  const [redis, client] = await Promise.all([openRedis(), connectByHand(process.env.DATABASE_URL as string, schema)])
  await client.query(`CREATE SCHEMA ${schema}`)
  // Of a bundle, Node also tells the deprecations that it does not tell of packages: that of url.parse(), by Express 4 and others.
  const env = { ...process.env, SCHEMA: schema, PREFIX: redis.prefix, NODE_OPTIONS: '--disable-warning=DEP0169' }
  try {
    const { stdout, stderr } = await run(process.execPath, [join(directory, 'javascript', file)], { env, timeout: 30_000 })
    assert.deepEqual(JSON.parse(stdout), {
      status: 200,
      armed: true,
      kind: 'order_confirm',
      via: 'alarm',
      ids: ['1'],
      orderStatus: 5,
      missing: { status: 404, code: 'ERR_ORDER_TIMERS_ORDER_NOT_FOUND', ours: true },
    })
    assert.equal(stderr, '')
  } finally {
    await client.query(`DROP SCHEMA ${schema} CASCADE`)
    await client.end()
    await flush(redis)
    await redis.close()
  }
}

/** As `npm install <tarball>` would, but from what is here; `instead` names packages that stand in for others. */
async function installInto(directory: string, tarball: string, instead: Record<string, string | null> = {}): Promise<void> {
  const modules = join(directory, 'node_modules')
  const own = join(modules, NAME)
  await mkdir(own, { recursive: true })
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', own])
  const { bin } = JSON.parse(await readFile(join(own, 'package.json'), 'utf8')) as { bin: Record<string, string> }
  await mkdir(join(modules, '.bin'))
  for (const [name, path] of Object.entries(bin)) await symlink(join('..', NAME, path), join(modules, '.bin', name))
  for (const name of await readdir(join(root, 'node_modules'))) {
    if (name.startsWith('.') || name === NAME) continue
    const target = name in instead ? instead[name] : name
    if (target) await symlink(join(root, 'node_modules', target), join(modules, name))
  }
}
