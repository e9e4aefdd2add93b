// Finds the shop's timers: the module that makes them, and in it the export that is timers. Timers know each other by a symbol that all copies
// of this package share, so that the shop may be CommonJS and this program is not.

import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OrderTimersError, show } from '../errors.js'
import { RUNTIME, type Runtime } from '../runtime.js'
import type { OrderTimers } from '../types.js'

export type Timers = OrderTimers & { [RUNTIME]: Runtime }

const FOLDERS = ['', 'dist', 'build', 'src', 'lib']
const FILES = ['timers.js', 'timers.mjs', 'timers.cjs']

/**
 * @param given what `--module` says; without it package.json's `"order-timers": { "module": … }`, and then the usual names are tried
 * @throws OrderTimersError TIMERS_NOT_FOUND
 */
export async function loadTimers(given: string | undefined, directory: string): Promise<Timers> {
  const file = given === undefined ? findModule(directory) : resolve(directory, given)
  if (!existsSync(file))
    throw notFound(`there is no file ${show(file)}; name the one that exports your timers: --module ./path/to/timers.js`)
  return choose(file, await load(file))
}

/** The nearest package.json's, where it can be read. */
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
  const tried = FOLDERS.flatMap((folder) => FILES.map((file) => join(folder, file)))
  const found = tried.find((path) => existsSync(join(directory, path)))
  if (found !== undefined) return join(directory, found)
  const remedy = 'name it with --module ./path/to/timers.js, or in package.json: "order-timers": { "module": "./path/to/timers.js" }'
  throw notFound(`no module with your timers was found in ${show(directory)}, looked for ${tried.join(', ')}; ${remedy}`)
}

async function load(file: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(file).href)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const remedy =
      code === 'ERR_UNKNOWN_FILE_EXTENSION' ? '; for TypeScript name what it is compiled to, or run with NODE_OPTIONS="--import tsx"' : ''
    throw notFound(`${show(file)} could not be loaded (${message})${remedy}`, cause)
  }
}

/** `timers`, the default export, or the only one that is timers. Of a CommonJS module the default export is `module.exports`. */
function choose(file: string, module: Record<string, unknown>): Timers {
  const inside = module.default !== null && typeof module.default === 'object' ? (module.default as Record<string, unknown>) : {}
  const preferred = [module.timers, inside.timers, module.default, inside.default].find(isTimers)
  if (preferred) return preferred
  const others = [...new Set([...Object.values(module), ...Object.values(inside)].filter(isTimers))]
  if (others.length === 1) return others[0] as Timers
  const exported = [...new Set([...Object.keys(module), ...Object.keys(inside)])].join(', ') || 'nothing'
  const what = others.length === 0 ? 'none of them is what orderTimers({ … }) returns' : `${others.length} of them are timers`
  throw notFound(`${show(file)} exports ${exported}, and ${what}; export the timers that are meant as "timers"`)
}

function isTimers(value: unknown): value is Timers {
  return typeof value === 'function' && RUNTIME in value
}

function notFound(message: string, cause?: unknown): OrderTimersError {
  return new OrderTimersError('TIMERS_NOT_FOUND', `order-timers: ${message}`, cause === undefined ? {} : { cause })
}
