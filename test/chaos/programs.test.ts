// The programs of a chaos run, and those of another checkout's `lib`, which `--beside` lets some workers run.

import assert from 'node:assert/strict'
import { appendFile, cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundlePrograms } from '../../chaos/programs.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const entries = { worker: new URL('../../chaos/worker-main.ts', import.meta.url) }

describe('The programs of a chaos run', () => {
  it('have the other checkout’s lib where one is given, and else the own', async () => {
    const other = await mkdtemp(join(tmpdir(), 'beside-'))
    try {
      await cp(join(root, 'lib'), join(other, 'lib'), { recursive: true })
      await appendFile(join(other, 'lib', 'worker', 'worker.ts'), '\n;(globalThis as Record<string, unknown>).isOfTheOther = true\n')
      const [own, beside] = [await bundlePrograms(entries), await bundlePrograms(entries, join(other, 'lib'))]
      const textOf = async ({ files }: typeof own) => {
        const directory = dirname(fileURLToPath(files.worker as URL))
        const all = (await readdir(directory)).map((file) => readFile(join(directory, file), 'utf8'))
        return (await Promise.all(all)).join('\n').replace(/^\/\/# sourceMappingURL.*$/gm, '')
      }
      assert.doesNotMatch(await textOf(own), /isOfTheOther/)
      assert.match(await textOf(beside), /isOfTheOther/)
      for (const programs of [own, beside]) programs.remove()
    } finally {
      await rm(other, { recursive: true })
    }
  })
})
