// Compiles lib/, chaos/ and what the tests' programs are made of to plain JavaScript, in folders that lie to each other as in the project. A test that
// starts a worker or the command line as a process starts it from there: under tsx each process takes more than a second of CPU to start.

import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { filesIn, hashOf, replaceFolder } from './build.mjs'
import { cache, project } from './paths.mjs'
import { once, run } from './processes.mjs'

const programs = join(cache, 'programs')
const kinds = { '.ts': ['--format=esm'], '.cts': ['--format=cjs', '--out-extension:.js=.cjs'] }
const stamp = join(cache, 'compiled')

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
        for (const [extension, args] of Object.entries(kinds)) await compile(extension, args, directory)
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

async function compile(extension, args, directory) {
  const esbuild = join(project, 'node_modules', 'esbuild', 'bin', 'esbuild')
  const files = sources().filter((path) => path.endsWith(extension))
  await run(esbuild, [...files, `--outdir=${directory}`, '--outbase=.', '--platform=node', ...args], { cwd: project })
}

function hashSources() {
  return hashOf(['node_modules/esbuild/package.json', 'tsconfig.json', 'scripts/programs.mjs', ...sources()])
}

function sources() {
  const of = (folder) => filesIn(join(project, folder)).map((path) => join(folder, path))
  const tests = of('test').filter((path) => !path.endsWith('.test.ts') && !path.includes('projects'))
  return [...of('lib'), ...of('chaos'), ...tests].filter((path) => /\.c?ts$/.test(path))
}
