// The TypeScript compiler over a folder that has a tsconfig.json, as a shop runs it.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './book.js'

/**
 * Resolves to the compiler's complaints, a line each.
 * @param compiler its package in this project's node_modules
 */
export async function complaintsAbout(directory: string, compiler = 'typescript'): Promise<string[]> {
  const tsc = join(root, 'node_modules', compiler, 'bin', 'tsc')
  // A small project takes half of the CPU with one thread and without collecting garbage. Older compilers run on Node and know neither.
  const frugal = compiler === 'typescript' ? ['--singleThreaded'] : []
  const env = { ...process.env, GOGC: 'off' }
  try {
    await promisify(execFile)(process.execPath, [tsc, '-p', 'tsconfig.json', '--pretty', 'false', ...frugal], { cwd: directory, env })
    return []
  } catch (error) {
    const { stdout } = error as { stdout: string }
    if (!stdout) throw error
    return stdout.trimEnd().split('\n')
  }
}
