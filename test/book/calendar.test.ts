// docs/calendar.md: what its first file prints is what its comments say.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { filesOf, openProjectOf } from '../support/book-project.js'

const PAGE = 'docs/calendar.md'

describe(PAGE, () => {
  it('finds what it says', async () => {
    const files = filesOf(PAGE)
    const project = await openProjectOf(files)
    try {
      const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', join(project.directory, 'working-time.ts')])
      const promised = [...(files['working-time.ts'] as string).matchAll(/\/\/ +(\S+Z),/g)].map(([, instant]) => instant)
      assert.equal(promised.length, 3)
      assert.deepEqual(stdout.trim().split('\n'), promised)
    } finally {
      await project.close()
    }
  })
})
