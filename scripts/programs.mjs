// Bundles the programs that tests start as processes: workers, the command line, and what these import by URL. Under tsx each process would take more
// than a second of CPU to start, and from a file for each module half a second more than from a bundle, most of it for Sequelize and ioredis. A bundle
// lies where its source lies in the project, and what several have in common is there once, so that it is one module in a process.

import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { filesIn, hashOf, replaceFolder } from './build.mjs'
import { cache, project } from './paths.mjs'
import { once, run } from './processes.mjs'

const programs = join(cache, 'programs')
const stamp = join(cache, 'compiled')

/** What modules of the tests' own import; beside these, every program and every module of rules in test/ is an entry. */
const IMPORTED = ['lib/index.ts', 'lib/cli/main.ts', 'test/support/database.ts', 'test/support/order.ts']
const STARTED = /^test\/.*(-(main|rules)|\/shop-process)\.ts$/

/** What the CommonJS packages in it expect, as docs/worker.md has it. */
const BANNER = `import { createRequire as requireFor } from 'node:module'
import { fileURLToPath as pathOf } from 'node:url'
const require = requireFor(import.meta.url)
const __filename = pathOf(import.meta.url)
const __dirname = pathOf(new URL('.', import.meta.url))`

/** Resolves to the folder that stands for the project's. */
export async function ensurePrograms() {
  await once(
    () => existsSync(programs) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hashSources(),
    async () => {
      const hash = hashSources()
      await rm(stamp, { force: true })
      await mkdir(cache, { recursive: true })
      const directory = await mkdtemp(join(cache, 'programs-'))
      try {
        await bundle(directory)
        await writeFile(join(directory, 'package.json'), '{ "type": "module" }\n')
        await replaceFolder(programs, directory)
        await writeFile(stamp, hash)
      } finally {
        await rm(directory, { recursive: true, force: true })
      }
    },
  )
  return programs
}

async function bundle(directory) {
  const esbuild = join(project, 'node_modules', 'esbuild', 'bin', 'esbuild')
  const entries = [...IMPORTED, ...sources().filter((path) => STARTED.test(path) && !IMPORTED.includes(path))]
  const form = ['--bundle', '--splitting', '--platform=node', '--target=node20', '--format=esm', `--banner:js=${BANNER}`]
  const outside = ['--external:pg-native', '--external:pg-hstore'] // which Sequelize and pg do without
  const options = [...form, ...outside, `--outdir=${directory}`, '--outbase=.', '--log-level=warning']
  await run(esbuild, [...entries, ...options], { cwd: project })
}

function hashSources() {
  return hashOf(['node_modules/.package-lock.json', 'tsconfig.json', 'scripts/programs.mjs', ...sources()])
}

function sources() {
  const of = (folder) => filesIn(join(project, folder)).map((path) => join(folder, path))
  const tests = of('test').filter((path) => !path.endsWith('.test.ts') && !path.includes('projects'))
  return [...of('lib'), ...of('chaos'), ...tests].filter((path) => /\.c?ts$/.test(path))
}
