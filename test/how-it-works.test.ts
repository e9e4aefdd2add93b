// What docs/how-it-works.md and CONTRIBUTING.md say about files: those that they name exist, and a stranger can read each drawn path in one sitting.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const PAGES = ['docs/how-it-works.md', 'CONTRIBUTING.md']
const FILE = /(?:lib|test|chaos|scripts|example|bench)\/[\w./-]*\w\.(?:ts|mjs|cjs|lua)\b/g
const LONGEST_PATH = 10

/** The files that the first code block under a heading names. */
function drawnFiles(page: string, heading: string): string[] {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const [, drawing = ''] = /```text\n([\s\S]*?)```/.exec(section) ?? []
  return [...new Set(drawing.match(FILE))]
}

describe('how-it-works and CONTRIBUTING', () => {
  for (const name of PAGES) {
    it(`name only files that exist (${name})`, () => {
      const files = new Set(readFileSync(`${root}${name}`, 'utf8').match(FILE))
      assert.ok(files.size > 5)
      for (const file of files) assert.ok(existsSync(`${root}${file}`), `${name} names ${file}, which does not exist`)
    })
  }

  for (const heading of ['The request path', 'The worker path']) {
    it(`draw "${heading}" with at most ${LONGEST_PATH} files`, () => {
      const files = drawnFiles(readFileSync(`${root}docs/how-it-works.md`, 'utf8'), heading)
      assert.ok(files.length > 5 && files.length <= LONGEST_PATH, `${files.length} files`)
    })
  }
})
