import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function packed(): Story {
  const story = new Story()
  story.create('pack', '1')
  story.settle('pack', '1')
  return story
}

describe('carried-out', () => {
  it('lets a settlement write all that its rule says', () => assertFine(packed()))

  it('finds a settlement without what "set" names', () => {
    const story = packed()
    delete story.changes.at(-1)!.to!.packedBy
    assertFound(story, 'carried-out', /without writing "set"/)
  })

  it('finds a settlement that wrote what no rule names', () => {
    for (const columns of [{ confirmDueAt: 7 }, { note: 'x' }]) {
      const story = packed()
      Object.assign(story.changes.at(-1)!.to!, columns)
      assertFound(story, 'carried-out', new RegExp(`also wrote ${Object.keys(columns)[0]}`))
    }
  })

  it('finds a settlement that left the deadline on the row', () => {
    const story = packed()
    const { from, to } = story.changes.at(-1)!
    to!.packDueAt = from!.packDueAt!
    assertFound(story, 'carried-out', /left its deadline/)
  })
})
