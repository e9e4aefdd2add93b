// A copy of the library and its tests, in which one planted bug at a time stands, so that the working tree is never touched. Lua that is edited
// is embedded again, since tests run the embedded text.
// An edit whose text is not found exactly once is an error: the source has changed, and the planted bug must be looked at again.

import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Edit } from './planted-bug.js'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const COPIED = ['lib', 'test', 'chaos', 'scripts', 'package.json', 'tsconfig.json']

export class Tree {
  private constructor(readonly directory: string) {}

  static async copy(): Promise<Tree> {
    const directory = await mkdtemp(join(tmpdir(), 'order-timers-mutants-'))
    for (const name of COPIED) await cp(join(PROJECT, name), join(directory, name), { recursive: true })
    await symlink(join(PROJECT, 'node_modules'), join(directory, 'node_modules'))
    return new Tree(directory)
  }

  /** Does something while the edits stand. @throws Error where a text is not found exactly once */
  async edited<T>(edits: readonly Edit[], act: () => Promise<T>): Promise<T> {
    const originals = new Map<string, string>()
    try {
      for (const edit of edits) {
        const path = join(this.directory, edit.file)
        const text = await readFile(path, 'utf8')
        if (!originals.has(path)) originals.set(path, text)
        await writeFile(path, apply(edit, text))
      }
      await this.embedLua()
      return await act()
    } finally {
      for (const [path, text] of originals) await writeFile(path, text)
      await this.embedLua()
    }
  }

  private async embedLua(): Promise<void> {
    await promisify(execFile)(process.execPath, [join(this.directory, 'scripts', 'embed-lua.mjs')])
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true })
  }
}

function apply({ file, find, replace }: Edit, text: string): string {
  const [before, after, ...more] = text.split(find)
  if (after !== undefined && more.length === 0) return before + replace + after
  const times = after === undefined ? 'not there any more' : `there ${more.length + 1} times`
  throw new Error(`${file}: the text to be edited is ${times}; bring chaos/mutants/bugs/ up to date:\n${find}`)
}
