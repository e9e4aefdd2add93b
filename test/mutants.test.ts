import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { PLANTED_BUGS } from '../chaos/mutants/planted-bugs.js'

describe('the planted bugs', () => {
  for (const { name, edits, test } of PLANTED_BUGS) {
    it(`can be planted still: ${name}`, async () => {
      for (const { file, find } of edits) assert.equal((await readFile(file, 'utf8')).split(find).length - 1, 1, `${file}: ${find}`)
      await readFile(test.file)
    })
  }
})
