import assert from 'node:assert/strict'
import { RULES, Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function scheduled(): Story {
  const story = new Story()
  story.create('confirm', '1')
  story.call('confirm', '1', 'schedule', { after: 5_000 })
  return story
}

/** The last change was the trigger's pause as well. */
function pausedAtOnce(story: Story, lostMs: number): void {
  const { from, to, at } = story.changes.at(-1)!
  delete to!.dueAt
  to!.leftMs = Number(from!.dueAt) - at - lostMs
}

describe('explained', () => {
  it('explains what every call, the sweep and a settlement change', () => {
    const story = scheduled()
    story.call('confirm', '1', 'extend', { by: 500 })
    story.call('confirm', '1', 'pause')
    story.wait(300).call('confirm', '1', 'resume')
    story.call('confirm', '1', 'cancel')
    story.call('confirm', '1', 'schedule', { at: story.now + 900 })
    story.settle('confirm', '1')
    story.create('dispute', '2')
    story.set('dispute', '2', { disputeOpen: true })
    story.sweep('dispute', '2')
    story.set('dispute', '2', { disputeOpen: false })
    story.sweep('dispute', '2')
    story.settle('dispute', '2')
    assertFine(story)
  })

  it('explains two equal calls of two shops at the same time by a change each', () => {
    const story = scheduled()
    const [one, other] = ['shop 1', 'shop 2'].map((process) => story.call('confirm', '1', 'extend', { by: 500 }, { process }))
    one!.completedAt = other!.completedAt
    other!.invokedAt = one!.invokedAt
    assertFine(story)
  })

  it('lets an unknown wish be carried out, also after the caller gave up, or not', () => {
    const story = scheduled()
    story.call('confirm', '1', 'extend', { by: 500 }, { answer: 'unknown', isCarriedOut: true }).completedAt -= 1_000
    story.call('confirm', '1', 'extend', { by: 700 }, { answer: 'unknown' })
    assertFine(story)
  })

  it('lets calls that change nothing have no change', () => {
    const story = scheduled()
    story.call('confirm', '1', 'cancel')
    story.call('confirm', '1', 'cancel')
    story.call('confirm', '1', 'schedule')
    story.call('confirm', '1', 'pause')
    story.call('confirm', '1', 'pause')
    assertFine(story)
  })

  /** Scheduled anew, after so many milliseconds: the deadline that it has is the one that it gets. */
  function rescheduled(offMs = 0): Story {
    const story = scheduled()
    const deadline = Number(story.row('confirm', '1')?.confirmDueAt)
    const before = story.changes.length
    story.wait(1_000).call('confirm', '1', 'schedule', { after: deadline - story.now - 2 + offMs })
    assert.equal(story.changes.length - before, offMs === 0 ? 0 : 1)
    return story
  }

  it('lets a schedule have no change whose deadline is, to the millisecond, the one that the order has', () => {
    assertFine(rescheduled())
    assertFine(rescheduled(1))
  })

  it("reckons that by Postgres's clock where a fault has moved it", () => {
    const story = rescheduled()
    const wish = story.wishes.at(-1)!
    wish.asked.after = Number(wish.asked.after) + 500_000
    const clockMoves = [{ at: wish.invokedAt - 900, offsetMs: -500_000 }]
    assertFine(story, { clockMoves })
    assertFound(story, 'explained', /"schedule" of shop 1 was acknowledged, and no change/)
  })

  it('finds a schedule that answered with the deadline that the order had, and wrote nothing', () => {
    const story = rescheduled()
    story.wishes.at(-1)!.asked.after = 60_000
    assertFound(story, 'explained', /"schedule" of shop 1 was acknowledged, and no change/)
  })

  it('lets a schedule have no change that the trigger turned into the time which a pause keeps already', () => {
    const story = new Story()
    story.create('dispute', '1')
    story.set('dispute', '1', { disputeOpen: true })
    story.sweep('dispute', '1')
    const after = Number(story.row('dispute', '1')?.leftMs)
    const answer = { answer: 'ok', got: { deadline: null, armed: false } } as const
    Object.assign(story.call('dispute', '1', 'schedule', { after }, { answer: 'refused' }), answer)
    assertFine(story)
    Object.assign(story.call('dispute', '1', 'schedule', { after: after + 60_000 }, { answer: 'refused' }), answer)
    assertFound(story, 'explained', /"schedule" of shop 1 was acknowledged, and no change/)
  })

  it('finds a deadline that "schedule" answered under "since" and the row never had', () => {
    const story = new Story()
    story.create('pay', '1')
    const wish = story.call('pay', '1', 'schedule')
    assertFine(story)
    wish.got = { deadline: Number(wish.got?.deadline) + 1 }
    assertFound(story, 'explained', /"schedule" of shop 1 was acknowledged, and no change/)
  })

  it('finds a write of the shop that changed more than it named, or less', () => {
    for (const spoil of [{ confirmDueAt: 7 }, { note: 'y' }]) {
      const story = scheduled()
      story.set('confirm', '1', { note: 'x' })
      assertFine(story)
      Object.assign(story.changes.at(-1)!.to!, spoil)
      assertFound(story, 'explained', /"write" of shop 1 was acknowledged/)
    }
  })

  it('finds a write that starts a timer anew which was running', () => {
    for (const [kind, column] of [
      ['pack', 'packDueAt'],
      ['dispute', 'dueAt'],
    ] as const) {
      const story = new Story()
      story.create(kind, '1')
      story.wait(500).set(kind, '1', { note: 'x' })
      story.changes.at(-1)!.to![column] = story.now + 2_000
      assertFound(story, 'explained', /"write" of shop 1 was acknowledged/)
    }
  })

  it('lets the trigger pause and resume in the statement that changes the condition, and finds time that was lost', () => {
    for (const lostMs of [0, 500]) {
      const story = new Story()
      story.create('dispute', '1')
      story.wait(500).set('dispute', '1', { disputeOpen: true })
      pausedAtOnce(story, lostMs)
      if (lostMs > 0) assertFound(story, 'explained', /"write" of shop 1 was acknowledged/)
      else assertFine(story)
    }
  })

  it('lets a call and a write share a transaction', () => {
    const story = scheduled()
    const write = story.set('confirm', '1', { note: 'x' })
    const call = story.call('confirm', '1', 'extend', { by: 100 }, { within: write.n })
    story.changes.at(-1)!.txid = story.changes.at(-2)!.txid
    call.invokedAt = write.invokedAt
    assertFine(story)
  })

  it('finds a call that was acknowledged in a transaction and carried out in another', () => {
    const story = scheduled()
    const write = story.set('confirm', '1', { note: 'x' })
    story.call('confirm', '1', 'extend', { by: 100 }, { within: write.n })
    assertFound(story, 'explained', /nothing that was asked explains it/)
  })

  it('finds an acknowledged call that nothing carries out', () => {
    const story = scheduled()
    const wish = story.call('confirm', '1', 'extend', { by: 100 }, { answer: 'refused' })
    wish.answer = 'ok'
    assertFound(story, 'explained', /"extend" of shop 1 was acknowledged/)
  })

  it('finds an acknowledged write that nothing carries out', () => {
    const story = scheduled()
    story.set('confirm', '1', { note: 'x' }, { answer: 'refused' }).answer = 'ok'
    assertFound(story, 'explained', /"write" of shop 1 was acknowledged/)
  })

  it('finds two acknowledged calls of which one change is all that there is', () => {
    const story = scheduled()
    const first = story.call('confirm', '1', 'extend', { by: 100 })
    const second = story.call('confirm', '1', 'extend', { by: 100 }, { answer: 'refused' })
    Object.assign(second, { answer: 'ok', got: first.got, invokedAt: first.invokedAt })
    assertFound(story, 'explained', /was acknowledged, and no change/)
  })

  it('finds a call that was carried out twice', () => {
    const story = scheduled()
    story.call('confirm', '1', 'extend', { by: 100 })
    const { to } = story.changes.at(-1)!
    story.change('confirm', '1', { ...to!, confirmDueAt: Number(to!.confirmDueAt) + 100, confirmExtended: 2 }, 'shop 1')
    assertFound(story, 'explained', /shop 1 changed it/)
  })

  it('explains a row that is gone by its removal', () => {
    const story = scheduled()
    story.remove('confirm', '1')
    assertFine(story)
  })

  it('finds a row that somebody removed who was not asked to', () => {
    const story = scheduled()
    story.remove('confirm', '1').process = 'shop 2'
    assertFound(story, 'explained', /shop 1 changed it/)
  })

  it('finds a call that was refused and still carried out', () => {
    const story = scheduled()
    story.call('confirm', '1', 'extend', { by: 100 }).answer = 'refused'
    assertFound(story, 'explained', /shop 1 changed it/)
  })

  it('finds a change that came before the call, or after its answer', () => {
    for (const offsetMs of [-500, 500]) {
      const story = scheduled()
      story.call('confirm', '1', 'extend', { by: 100 })
      story.changes.at(-1)!.trueAt += offsetMs
      assertFound(story, 'explained', /shop 1 changed it/)
    }
  })

  it('finds an answer that is not what the row then had', () => {
    const story = scheduled()
    const wish = story.call('confirm', '1', 'extend', { by: 100 })
    wish.got = { deadline: Number(wish.got?.deadline) + 1 }
    assertFound(story, 'explained', /was acknowledged, and no change/)
  })

  it('finds a deadline that does not count from the call', () => {
    for (const wrongMs of [-10_000, -500, 500]) {
      const story = scheduled()
      story.wait(4_000).call('confirm', '1', 'schedule', { after: 1_000 })
      const { to } = story.changes.at(-1)!
      to!.confirmDueAt = Number(to!.confirmDueAt) + wrongMs
      story.wishes.at(-1)!.got = {}
      assertFound(story, 'explained', /shop 1 changed it/)
    }
  })

  it('finds time that was lost or gained by a pause', () => {
    for (const wrongMs of [-6_000, -500, 500, 6_000]) {
      const story = scheduled()
      story.call('confirm', '1', 'schedule', { after: 20_000 })
      story.call('confirm', '1', 'pause')
      const { to } = story.changes.at(-1)!
      to!.confirmLeftMs = Number(to!.confirmLeftMs) + wrongMs
      assertFound(story, 'explained', /shop 1 changed it/)
    }
  })

  it('finds an extension that was not counted', () => {
    const story = scheduled()
    story.call('confirm', '1', 'extend', { by: 100 })
    delete story.changes.at(-1)!.to!.confirmExtended
    assertFound(story, 'explained', /shop 1 changed it/)
  })

  it('finds a call that wrote more than the timer', () => {
    const story = scheduled()
    story.call('confirm', '1', 'extend', { by: 100 })
    story.changes.at(-1)!.to!.note = 'x'
    assertFound(story, 'explained', /shop 1 changed it/)
  })

  it('finds that a worker moved an order to a status that its rule does not name', () => {
    const story = scheduled()
    story.wait(6_000).change('confirm', '1', { ...story.row('confirm', '1')!, status: 9 }, 'worker 1')
    assertFound(story, 'explained', /worker 1 changed it/)
  })

  it('finds that a worker settled an order that "where" held back', () => {
    const story = new Story()
    story.create('pay', '1', { isOpen: false })
    story.settle('pay', '1')
    const rules = (isOpen: boolean) => ({ rules: [{ ...RULES.pay, where: { isOpen } }] })
    assertFound(story, 'explained', /worker 1 changed it/, rules(true))
    assertFine(story, rules(false))
  })

  it('finds a worker that clears a deadline which has not passed', () => {
    const story = scheduled()
    story.set('confirm', '1', { status: 9 })
    const { confirmDueAt: _, ...cleared } = story.row('confirm', '1')!
    story.change('confirm', '1', cleared, 'worker 1')
    assertFound(story, 'explained', /worker 1 changed it/)
    story.changes.at(-1)!.at += 10_000
    assertFine(story)
  })
})
