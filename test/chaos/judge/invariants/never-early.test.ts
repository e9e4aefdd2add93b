import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

describe('never-early', () => {
  it('lets an order be settled at its deadline and after it', () => {
    const story = new Story()
    story.create('pay', '1')
    story.settle('pay', '1')
    assertFine(story)
  })

  it('finds an order that was settled before the deadline on its row', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.call('confirm', '1', 'schedule', { after: 5_000 })
    const change = story.settle('confirm', '1')
    Object.assign(change, { at: change.at - 100, trueAt: change.trueAt - 100 })
    assertFound(story, 'never-early', /99 ms before/)
  })

  it('finds an order that was settled before createdAt plus "after"', () => {
    const story = new Story()
    story.create('pay', '1')
    const change = story.settle('pay', '1')
    Object.assign(change, { at: change.at - 1_000, trueAt: change.trueAt - 1_000 })
    assertFound(story, 'never-early', /before its deadline/)
  })

  it('finds an order that was settled without a deadline', () => {
    const story = new Story()
    story.create('confirm', '1')
    story.settle('confirm', '1')
    assertFound(story, 'never-early', /without a deadline/)
  })

  it('goes by the clock of Postgres as the package sees it: one that is set forward makes orders due', () => {
    const story = new Story()
    story.create('pay', '1')
    const change = story.settle('pay', '1')
    change.trueAt -= 2_000
    assertFine(story, { clockMoves: [{ at: change.trueAt - 500, offsetMs: 2_000 }] })
  })

  it('allows for a clock that is set back while a transaction runs', () => {
    const story = new Story()
    story.create('pay', '1')
    const change = story.settle('pay', '1')
    change.trueAt -= 2_000
    change.at -= 2_000
    const moves = [
      { at: change.trueAt - 500, offsetMs: 2_000 },
      { at: change.trueAt - 1, offsetMs: 0 },
    ]
    assertFine(story, { clockMoves: moves })
    assertFound(story, 'never-early', /before its deadline/, { clockMoves: moves.map((move) => ({ ...move, at: move.at - 60_000 })) })
  })

  it('allows for a clock that is set back for the first time while a transaction runs', () => {
    const story = new Story()
    story.create('pay', '1')
    const change = story.settle('pay', '1')
    change.at -= 2_000
    const move = { at: change.trueAt - 1, offsetMs: -2_000 }
    assertFine(story, { clockMoves: [move] })
    assertFound(story, 'never-early', /before its deadline/, { clockMoves: [{ ...move, at: move.at - 60_000 }] })
  })
})
