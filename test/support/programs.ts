// Where a program of the tests' own is started from: its file as scripts/programs.mjs compiled it, or the file itself under tsx where nothing
// did, as in the chaos run. A changed copy of the project, such as one with a planted bug, must not start what the project compiled.

import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = new URL('../../', import.meta.url)
const { TEST_PROGRAMS: programs = '' } = process.env
const compiled = programs.startsWith(fileURLToPath(root)) ? pathToFileURL(join(programs, '/')).href : undefined
const TSX = new URL('node_modules/tsx/dist/esm/index.mjs', root).href

/** The arguments with which Node starts the program of a file; one that is JavaScript already is started as it is. */
export function programArgs(file: URL): string[] {
  if (file.pathname.endsWith('.mjs')) return [fileURLToPath(file)]
  return [...(compiled ? [] : ['--import', TSX]), fileURLToPath(compiledUrl(file.href))]
}

/** The URL by which such a program imports a module of the project. */
export function compiledUrl(url: string): string {
  if (!compiled || !url.startsWith(root.href)) return url
  return `${compiled}${url.slice(root.href.length).replace(/\.ts$/, '.js')}`
}
