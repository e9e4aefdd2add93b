// Builds dist/ from lib/, as an ES module and as CommonJS, where it is missing or was built from other sources.
// It is built aside and then put in its place file by file, each by a rename, so that another run never reads half a file.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { embedLua } from './embed-lua.mjs'
import { embedPage } from './embed-page.mjs'
import { ensurePackages } from './packages.mjs'
import { cache, project } from './paths.mjs'
import { exitWith, once, run, say } from './processes.mjs'

const formats = {
  esm: { type: 'module', args: [] },
  cjs: { type: 'commonjs', args: ['--module', 'commonjs', '--moduleResolution', 'bundler', '--verbatimModuleSyntax', 'false'] },
}
/**
 * Comments are for who reads lib/, and the declarations have those for users: in the code they would be a fifth of the package. Types are checked
 * once, with the declarations.
 */
const CODE = ['--declaration', 'false', '--removeComments', '--noCheck']
const DECLARATIONS = ['--emitDeclarationOnly']
/** What is said of private members, which no user's code can reach. */
const OF_PRIVATE = /^ *\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n(?= *private )/gm
const stamp = join(cache, 'built')

export function ensureBuild() {
  return once(
    () => existsSync(join(project, 'dist')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hashSources(),
    async () => {
      say('building dist/ …')
      const sources = hashSources()
      await rm(stamp, { force: true })
      await mkdir(cache, { recursive: true })
      const directory = await mkdtemp(join(cache, 'build-'))
      try {
        for (const [name, format] of Object.entries(formats)) await compile(join(directory, name), format)
        await declare(directory)
        await rm(join(directory, 'cjs', 'cli'), { recursive: true }) // the program is an ES module alone: it must load both kinds
        await removeUnused(join(directory, 'cjs'))
        await Promise.all(filesIn(directory).map((path) => indentBySpaces(join(directory, path))))
        await shareGenerated(directory)
        await chmod(join(directory, 'esm', 'cli', 'main.js'), 0o755) // copying keeps it
        await replaceFolder(join(project, 'dist'), directory)
        await writeFile(stamp, sources)
      } finally {
        await rm(directory, { recursive: true, force: true })
      }
    },
  )
}

async function compile(directory, { type, args }) {
  await runTsc(directory, [...args, ...CODE])
  await writeFile(join(directory, 'package.json'), `${JSON.stringify({ type })}\n`)
}

/** Puts the declarations that users' code can reach beside the code of each format, for which they are the same. */
async function declare(directory) {
  const all = join(directory, 'types')
  await runTsc(all, DECLARATIONS)
  const { exports } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'))
  const entries = Object.values(exports).flatMap(({ import: entry }) => entry?.types.replace('./dist/esm/', '') ?? [])
  for (const path of await reachable(all, entries)) {
    const text = await readFile(join(all, path), 'utf8')
    await writeFile(join(all, path), text.replace(OF_PRIVATE, ''))
    for (const format of Object.keys(formats)) await copyInto(join(directory, format, path), join(all, path))
  }
  await rm(all, { recursive: true })
}

/** Removes the code that no entry of the package reaches: as CommonJS, what the program alone needs. */
async function removeUnused(directory) {
  const { exports } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'))
  const entries = Object.values(exports).flatMap(({ require: entry }) => entry?.default.replace('./dist/cjs/', '') ?? [])
  const used = await reachable(directory, entries, (path) => path)
  for (const path of filesIn(directory)) if (/\.c?js$/.test(path) && !used.has(path)) await rm(join(directory, path))
}

/** Embedded files are in the package once: the ES module takes them from CommonJS, which no Node 20 could do the other way round. */
async function shareGenerated(directory) {
  for (const path of filesIn(join(directory, 'cjs')).filter((path) => path.endsWith('.generated.js'))) {
    const module = join(directory, 'esm', path)
    const names = [...(await readFile(module, 'utf8')).matchAll(/^export const (\w+)/gm)].map(([, name]) => name)
    const shared = relative(dirname(module), join(directory, 'cjs', path))
    await writeFile(module, `export { ${names.join(', ')} } from '${shared}';\n`)
  }
}

/** The compiler indents by four spaces, which are a hundredth of the package. Texts over several lines stay as they are, and so do files that have any. */
async function indentBySpaces(path) {
  if (!/\.(js|d\.ts)$/.test(path)) return
  const text = await readFile(path, 'utf8')
  if (text.split('\n').some((line) => line.split('`').length % 2 === 0)) return
  await writeFile(
    path,
    text.replace(/^(?: {4})+/gm, (spaces) => ' '.repeat(spaces.length / 4)),
  )
}

/**
 * What these files import, directly or not, and they themselves.
 * @param fileOf the file that an imported path stands for; by default its declarations
 */
async function reachable(directory, entries, fileOf = (path) => path.replace(/\.(c?)js$/, '.d.$1ts')) {
  const found = new Set(entries)
  for (const path of found) {
    const text = await readFile(join(directory, path), 'utf8')
    for (const [, imported] of text.matchAll(/(?:from|import|require) ?\(?['"](\.[^'"]+)['"]/g)) {
      found.add(fileOf(join(dirname(path), imported)))
    }
  }
  return found
}

function runTsc(directory, args) {
  const tsc = join(project, 'node_modules', 'typescript', 'bin', 'tsc')
  return run(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', directory, ...args], { cwd: project })
}

async function copyInto(target, source) {
  await mkdir(dirname(target), { recursive: true })
  await copyFile(source, target)
}

/** Not by renaming the folder: a folder from a container image's layer can't be renamed. */
export async function replaceFolder(folder, directory) {
  const built = filesIn(directory)
  for (const path of built) {
    const target = join(folder, path)
    await copyInto(`${target}.new`, join(directory, path))
    await rename(`${target}.new`, target)
  }
  const old = filesIn(folder).filter((path) => !built.includes(path))
  for (const path of old) await rm(join(folder, path))
}

export function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort()
}

function hashSources() {
  const compiler = ['package.json', 'node_modules/typescript/package.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs']
  return hashOf([...compiler, ...filesIn(join(project, 'lib')).map((path) => join('lib', path))])
}

/** @param paths of files, from the project's folder */
export function hashOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths) {
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(join(project, path)))
      .update('\0')
  }
  return hash.digest('hex')
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  ensurePackages().then(embedLua).then(embedPage).then(ensureBuild).catch(exitWith)
}
