import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

function settled(count: number, everyMs = 1): Story {
  const story = new Story()
  for (let id = 1; id <= count; id += 1) story.create('braked', String(id))
  for (let id = 1; id <= count; id += 1) {
    story.wait(everyMs)
    story.settle('braked', String(id))
  }
  return story
}

function release(story: Story): void {
  const wish = {
    n: 99,
    process: 'shop 1',
    feature: 'brake',
    kind: 'braked',
    table: 'brakes',
    id: null,
    call: 'release',
    asked: {},
  } as const
  story.wishes.push({ ...wish, invokedAt: story.now, completedAt: story.now + 5, answer: 'ok' })
}

describe('brake-count', () => {
  it('lets as many be settled as the brake allows, and more once its time has passed', () => {
    assertFine(settled(3))
    assertFine(settled(6, 5_500))
  })

  it('lets a rule go on that was stopped and released', () => {
    const story = settled(3)
    const { to } = story.brakes.at(-1)!
    story.brake('braked', { ...to, braked: true }, 'worker 1')
    release(story)
    story.brake('braked', { since: story.now, settled: 0, braked: false }, 'shop 1')
    story.create('braked', '7')
    story.settle('braked', '7')
    assertFine(story)
  })

  it('finds one too many', () => assertFound(settled(4), 'brake-count', /counted 4, of 3/))

  it('finds one that was not counted', () => {
    const story = settled(2)
    story.brakes.pop()
    assertFound(story, 'brake-count', /settled 1 and counted 0/)
  })

  it('finds one that was counted in a transaction that was rolled back', () => {
    const story = settled(2)
    const { to } = story.brakes.at(-1)!
    story.brake('braked', { ...to, settled: 3 }, 'worker 2')
    assertFound(story, 'brake-count', /settled nothing/)
  })

  it('finds one that was settled although the brake had stopped the rule', () => {
    const story = settled(1)
    const { to } = story.brakes.at(-1)!
    story.brake('braked', { ...to, braked: true }, 'worker 1')
    story.create('braked', '2')
    story.settle('braked', '2')
    assertFound(story, 'brake-count', /although its brake had stopped it/)
  })

  it('finds a window that ended too early', () => {
    const story = settled(1).wait(5)
    story.brake('braked', { since: story.now, settled: 0, braked: false }, 'worker 1')
    assertFound(story, 'brake-count', /before its time had passed/)
  })

  it('finds a release that nobody asked for', () => {
    const story = settled(1)
    const { to } = story.brakes.at(-1)!
    story.brake('braked', { ...to, braked: true }, 'worker 1')
    story.brake('braked', { ...to, braked: false }, 'worker 1')
    assertFound(story, 'brake-count', /released by nobody/)
  })
})
