// The programs of workers and shops, each bundled into one file before a run: a process then starts in a third of the time, and a run starts
// dozens. Packages are not bundled. A program may be built with another checkout's `lib`, as the previous release in a rolling deployment.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
const LIB = join(PROJECT, 'lib') + sep

export interface Programs {
  /** The bundled file of each, by the name that it was asked for under. */
  files: Record<string, URL>
  remove(): void
}

/**
 * @param entries each program's source, by a name
 * @param otherLib the directory of another checkout's `lib`, if that is to be in them
 */
export async function bundlePrograms(entries: Record<string, URL>, otherLib?: string): Promise<Programs> {
  // Within the project, so that its packages are found.
  const cache = join(PROJECT, 'node_modules', '.cache', 'express-order-timers')
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, 'chaos-'))
  const names = Object.keys(entries)
  await build({
    entryPoints: names.map((name) => ({ in: fileURLToPath(entries[name]!), out: name })),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: 'inline',
    // node-cron is loaded by require().
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" },
    logLevel: 'warning',
    plugins: otherLib === undefined ? [] : [libFrom(resolve(otherLib))],
  })
  return {
    files: Object.fromEntries(names.map((name) => [name, pathToFileURL(join(directory, `${name}.mjs`))])),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

/** Files of `lib` are taken from another one. */
function libFrom(other: string): Plugin {
  return {
    name: 'other-lib',
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        const file = resolve(resolveDir, path)
        if (!file.startsWith(LIB) || dirname(file).startsWith(other)) return undefined
        return { path: join(other, file.slice(LIB.length)).replace(/\.(c?)js$/, '.$1ts') }
      })
    },
  }
}
