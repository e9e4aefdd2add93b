import assert from 'node:assert/strict'
import { access, readFile } from 'node:fs/promises'
import { FEATURES } from '../chaos/history.js'
import { FOUNDATIONS, type PlantedBug } from '../chaos/mutants/planted-bug.js'
import { PLANTED_BUGS } from '../chaos/mutants/planted-bugs.js'

describe('the planted bugs', () => {
  for (const { name, edits, suites } of PLANTED_BUGS) {
    it(`can be planted still: ${name}`, async () => {
      for (const { file, find, replace } of edits) {
        assert.equal((await readFile(file, 'utf8')).split(find).length - 1, 1, `${file}: ${find}`)
        assert.notEqual(find, replace)
      }
      assert.ok(suites.length > 0)
      for (const suite of suites) await access(suite)
    })
  }

  it('have names of their own', () => {
    assert.equal(new Set(PLANTED_BUGS.map(({ name }) => name)).size, PLANTED_BUGS.length)
  })

  it('are two at least for each feature and each foundation', () => {
    const count = (subject: string) => PLANTED_BUGS.filter(({ about }: PlantedBug) => (about as readonly string[]).includes(subject)).length
    assert.deepEqual(
      [...FEATURES, ...FOUNDATIONS].filter((subject) => count(subject) < 2),
      [],
    )
  })
})
