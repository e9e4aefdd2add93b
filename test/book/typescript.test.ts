// The book's code compiles, strictly, against the package's types: each page's files are a project.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { blocks, root } from '../support/book.js'
import { filesOf, openProjectOf } from '../support/book-project.js'

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
      const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
      await promisify(execFile)(process.execPath, [tsc, '-p', project.directory, '--pretty', 'false'], { cwd: project.directory })
        .catch((error) => assert.fail(error.stdout || error))
        .finally(project.close)
    }).timeout(60_000)
  }
})
