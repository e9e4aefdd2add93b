// The book's code compiles, strictly, against the package's types: each page's files are a project.

import assert from 'node:assert/strict'
import { blocks } from '../support/book.js'
import { filesOf, openProjectOf } from '../support/book-project.js'
import { complaintsAbout } from '../support/compiler.js'

const compilerOptions = {
  module: 'nodenext',
  target: 'es2022',
  strict: true,
  noEmit: true,
  allowJs: true,
  checkJs: true,
  skipLibCheck: true,
  types: ['node'],
}

describe("the book's code", () => {
  const pages = new Set(blocks.filter(({ language }) => language === 'ts' || language === 'js').map(({ page }) => page))
  for (const page of pages) {
    it(`compiles: ${page}`, async () => {
      const project = await openProjectOf({
        ...filesOf(page),
        'tsconfig.json': JSON.stringify({ compilerOptions, include: ['*.ts', '*.js'] }),
      })
      assert.deepEqual(await complaintsAbout(project.directory).finally(project.close), [])
    }).timeout(60_000)
  }
})
