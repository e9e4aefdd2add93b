import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

describe('continuous', () => {
  it('lets each change begin where the last one ended', () => {
    const story = new Story()
    story.create('pay', '1')
    story.settle('pay', '1')
    story.set('pay', '1', { status: 7 })
    assertFine(story)
  })

  it('finds a change that begins elsewhere', () => {
    const story = new Story()
    story.create('pay', '1')
    story.settle('pay', '1').from = { ...story.changes[0]!.to!, note: 'x' }
    assertFound(story, 'continuous', /note changed/)
  })

  it('finds a row that is not as its last change left it: a commit was lost', () => {
    const story = new Story()
    story.create('pay', '1')
    story.set('pay', '1', { status: 2 })
    const row = { ...story.row('pay', '1'), status: 1 }
    assertFound(story, 'continuous', /status changed/, { rows: [{ table: 'orders', id: '1', row }] })
  })

  it('finds a row that is gone and was not deleted', () => {
    const story = new Story()
    story.create('pay', '1')
    assertFound(story, 'continuous', /changed/, { rows: [] })
  })
})
