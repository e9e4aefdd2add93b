import type { Wish } from '../../../../chaos/history.js'
import { BEGIN, Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

/** Long enough for every state but the last to be over. */
const LATER_MS = 9_000

/** An order that has its deadline for a while, and a minute left. */
function scheduled(): Story {
  const story = new Story()
  story.create('confirm', '1')
  story.call('confirm', '1', 'schedule', { after: 60_000 })
  return story.wait(LATER_MS)
}

describe('reads', () => {
  it('lets both answer what the row has, over an order’s life', () => {
    const story = scheduled()
    const look = () => {
      story.read('confirm', '1', 'remaining')
      story.read('confirm', '1', 'list')
    }
    look()
    story.call('confirm', '1', 'extend', { by: 30_000 })
    look()
    story.call('confirm', '1', 'pause')
    look()
    story.call('confirm', '1', 'resume')
    look()
    story.settle('confirm', '1')
    look()
    assertFine(story)
  })

  it('lets an answer be what stood while a change was on its way', () => {
    const story = scheduled()
    const wish = story.read('confirm', '1', 'remaining')
    const before = { ...wish.got }
    story.call('confirm', '1', 'extend', { by: 30_000 })
    const later = story.read('confirm', '1', 'remaining')
    later.got = { remaining: Number(before.remaining) - 8 }
    assertFine(settled(story))
  })

  const FALSE: Record<string, (wish: Wish) => void> = {
    'a time that is too long': ({ got }) => {
      got!.remaining = Number(got?.remaining) + 500
    },
    'a time that is too short': ({ got }) => {
      got!.remaining = Number(got?.remaining) - 500
    },
    'no timer': ({ got }) => {
      got!.remaining = null
    },
    'a timer that is overdue': ({ got }) => {
      got!.remaining = 0
    },
  }
  for (const [what, spoil] of Object.entries(FALSE)) {
    it(`finds where "remaining" answers ${what}`, () => {
      const story = scheduled()
      spoil(story.read('confirm', '1', 'remaining'))
      assertFound(settled(story), 'reads', /"remaining" answered .* of confirm/)
    })
  }

  it('finds where "remaining" answers a time of an order that has none', () => {
    for (const end of ['cancel', 'pause'] as const) {
      const story = scheduled()
      story.call('confirm', '1', end)
      story.wait(LATER_MS).read('confirm', '1', 'remaining').got = { remaining: 5 }
      assertFound(story, 'reads', /"remaining" answered 5 ms of confirm/)
    }
  })

  it('finds where an answer is older than what was acknowledged long before', () => {
    const story = scheduled()
    const before = story.read('confirm', '1', 'list').got
    story.call('confirm', '1', 'extend', { by: 30_000 })
    story.wait(LATER_MS).read('confirm', '1', 'list').got = before!
    assertFound(settled(story), 'reads', /"list" answered \d+ ms of confirm/)
  })

  it('finds where "list" leaves out a timer, or has one of another deadline, or of another table', () => {
    const deadline = BEGIN + 99_000
    for (const [list, message] of [
      [[], /"list" answered no timer of confirm/],
      [[{ kind: 'confirm', deadline, remaining: 8_000 }], /of confirm, which was never so/],
      [[{ kind: 'dispute', deadline, remaining: 8_000 }], /dispute, which is no rule of this table/],
    ] as const) {
      const story = scheduled()
      story.read('confirm', '1', 'list').got = { list: [...list] }
      assertFound(settled(story), 'reads', message)
    }
  })

  it('follows Postgres’s clock where it was moved', () => {
    const story = scheduled()
    const offsetMs = 400
    const clockMoves = [{ at: story.now - 500, offsetMs }]
    const wish = story.read('confirm', '1', 'remaining')
    wish.got = { remaining: Number(wish.got?.remaining) - offsetMs }
    assertFine(settled(story), { clockMoves })
    assertFound(settled(story), 'reads', /"remaining" answered/)
  })

  it('ignores what is only in Redis, and answers that did not come', () => {
    const story = new Story()
    story.create('fleeting', '1')
    story.read('fleeting', '1', 'remaining').got = { remaining: 77 }
    story.read('fleeting', '1', 'remaining', { answer: 'unknown' })
    story.set('fleeting', '1', { status: 9 })
    assertFine(story)
  })
})

/** So that nothing is lost at the end. */
function settled(story: Story): Story {
  if (story.isPending('confirm', '1')) story.settle('confirm', '1')
  return story
}
