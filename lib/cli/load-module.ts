// Loads a module as the shop does: ES modules, CommonJS, modules that a require hook compiles (Babel, ts-node), and TypeScript by the shop's
// loader.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { errorText } from '../error-text.js'
import { show } from '../errors.js'
import { within } from '../wait.js'
import { hasLoader, isTypeScript, registerBabel, registerLoader } from './compilers.js'

/** A module's exports; those of CommonJS are under `default`. */
export type Exports = Record<string, unknown>

/**
 * @param limitMs how long its top level may take
 * @throws Error with the error as `cause`, and a message that says what to do
 */
export async function loadModule(file: string, limitMs: number): Promise<Exports> {
  if (isTypeScript(file) && !hasLoader() && !(await registerLoader(file))) {
    const remedy = 'install tsx (npm install --save-dev tsx), use Node 22.18 or later, or name what it is compiled to with --module'
    throw new Error(`is TypeScript, and neither Node ${process.versions.node} nor a loader of yours can read it; ${remedy}`)
  }
  const loaded = await within(limitMs, importOrRequire(file))
  if (loaded) return loaded
  const remedy = 'an "await" at its top level waits for something; export the timers from a module that does not'
  throw new Error(`was not loaded after ${limitMs / 1_000} s; ${remedy}`)
}

/** A require hook compiles only modules that are loaded by `require`. */
async function importOrRequire(file: string): Promise<Exports> {
  try {
    return await import(pathToFileURL(file).href)
  } catch (error) {
    if (!isOfLoading(error)) throw failed(error)
    try {
      if (!isTypeScript(file)) registerBabel(file)
      return { default: createRequire(file)(file) }
    } catch (second) {
      throw failed(isOfLoading(second) ? error : second)
    }
  }
}

/** Whether finding, reading or linking the module threw it. Then none of the module has run, so loading it in another way does not run it twice. */
function isOfLoading(error: unknown): boolean {
  const { code = '', message = '', stack = '' } = (error ?? {}) as NodeJS.ErrnoException
  if (LOADING.has(code)) return true
  if (error instanceof ReferenceError) return /^(?:require|module|exports|__dirname|__filename) is not defined/.test(message)
  return error instanceof SyntaxError && !stack.startsWith('SyntaxError') // Node begins the stack of a module's syntax error with its place; one of JSON.parse begins with the name
}

const LOADING = new Set([
  ...['ERR_UNKNOWN_FILE_EXTENSION', 'ERR_MODULE_NOT_FOUND', 'ERR_UNSUPPORTED_DIR_IMPORT', 'ERR_REQUIRE_ESM'],
  ...['ERR_AMBIGUOUS_MODULE_SYNTAX', 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX', 'ERR_INVALID_TYPESCRIPT_SYNTAX'],
])

function failed(cause: unknown): Error {
  const message = cause instanceof Error ? errorText(cause) : show(cause)
  return new Error(`could not be loaded (${message})`, { cause })
}
