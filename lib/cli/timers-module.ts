// Finds the shop's timers: the module that makes them, and its export that is timers. They are recognised by a symbol that all copies of this
// package share, so the shop may load the CommonJS copy and this program the ES module.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { OrderTimersError, show } from '../errors.js'
import { RUNTIME, type Runtime } from '../timers/runtime.js'
import type { OrderTimers } from '../types.js'
import { isTypeScript } from './compilers.js'
import { type Exports, loadModule } from './load-module.js'

export type Timers = OrderTimers & { [RUNTIME]: Runtime }

const FOLDERS = ['', 'dist', 'build', 'src', 'lib']
const FILES = ['timers.js', 'timers.mjs', 'timers.cjs', 'timers.ts', 'timers.mts', 'timers.cts']
const LOAD_MS = 20_000

/**
 * @param given the value of `--module`; without it package.json's `"order-timers": { "module": … }` is used, and then the usual names are tried
 * @throws OrderTimersError TIMERS_NOT_FOUND
 */
export async function loadTimers(
  given: string | undefined,
  directory: string,
  { remark = () => {}, limitMs = LOAD_MS }: { remark?: (text: string) => void; limitMs?: number } = {},
): Promise<Timers> {
  const file = given === undefined ? findModule(directory) : resolve(directory, given)
  if (!existsSync(file))
    throw notFound(`there is no file ${show(file)}; name the one that exports your timers: --module ./path/to/timers.js`)
  if (!statSync(file).isFile()) throw notFound(`${show(file)} is a folder; name the file in it that exports your timers`)
  const timers = choose(file, await load(file, limitMs))
  warnOfStarted(file, timers[RUNTIME], remark)
  return timers
}

/** The package.json of the folder; empty if it cannot be read. */
export function readPackage(directory: string): { type?: unknown; 'order-timers'?: { module?: unknown } } {
  try {
    return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  } catch {
    return {}
  }
}

function findModule(directory: string): string {
  const named = readPackage(directory)['order-timers']?.module
  if (typeof named === 'string') return resolve(directory, named)
  const places = FOLDERS.flatMap((folder) => FILES.map((file) => join(folder, file)))
  const compiled = places.filter((path) => !isTypeScript(path))
  const tried = [...compiled, ...places.filter(isTypeScript)]
  const found = tried.find((path) => existsSync(join(directory, path)))
  if (found !== undefined) return join(directory, found)
  const remedy = 'name it with --module ./path/to/timers.js, or in package.json: "order-timers": { "module": "./path/to/timers.js" }'
  throw notFound(
    `no module with your timers was found in ${show(directory)}, looked for ${compiled.join(', ')}, and the same as .ts, .mts and .cts; ${remedy}`,
  )
}

async function load(file: string, limitMs: number): Promise<Exports> {
  try {
    return await loadModule(file, limitMs)
  } catch (error) {
    const { message, cause } = error as Error
    throw notFound(`${show(file)} ${message}`, cause)
  }
}

/** Warns where the module has started a server or a worker. */
function warnOfStarted(file: string, runtime: Runtime, remark: (text: string) => void): void {
  const servers = process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length
  const started = [...(servers > 0 ? ['a server'] : []), ...(runtime.running.size > 0 ? ['a worker, which settles orders meanwhile'] : [])]
  if (started.length === 0) return
  remark(`order-timers: ${show(file)} has started ${started.join(' and ')}; export the timers from a module that only makes them`)
}

/**
 * The export `timers`, the default export, or the only export that is timers. The default export of a CommonJS module is `module.exports`,
 * which itself has a `default` where it was compiled from an ES module.
 */
function choose(file: string, module: Exports): Timers {
  const levels = [module, module.default, inside(module.default).default].map(inside)
  const preferred = levels.flatMap((level) => [level.timers, level.default]).find(isTimers)
  if (preferred) return preferred
  const others = [...new Set(levels.flatMap((level) => Object.values(level)).filter(isTimers))]
  if (others.length === 1) return others[0] as Timers
  const names = [...new Set(levels.flatMap((level) => Object.keys(level)))].filter(
    (name) => name !== '__esModule' && name !== 'module.exports',
  )
  const exported = names.join(', ') || 'nothing'
  const what = others.length === 0 ? 'none of them is what orderTimers({ … }) returns' : `${others.length} of them are timers`
  const makes = others.length > 0 ? undefined : names.find((name) => levels.some((level) => isMaker(name, level[name])))
  const remedy =
    makes === undefined
      ? 'export the timers that are meant as "timers"'
      : `if ${makes} makes them, name a module that calls it: export const timers = ${makes}(…)`
  throw notFound(`${show(file)} exports ${exported}, and ${what}; ${remedy}`)
}

/** A function such as `makeTimers`. It is not called, because it may start anything. */
function isMaker(name: string, value: unknown): boolean {
  return typeof value === 'function' && !isTimers(value) && /timers/i.test(`${name} ${value.name}`)
}

function inside(value: unknown): Exports {
  return value !== null && typeof value === 'object' ? (value as Exports) : {}
}

function isTimers(value: unknown): value is Timers {
  return typeof value === 'function' && RUNTIME in value
}

function notFound(message: string, cause?: unknown): OrderTimersError {
  return new OrderTimersError('TIMERS_NOT_FOUND', `order-timers: ${message}`, cause === undefined ? {} : { cause })
}
