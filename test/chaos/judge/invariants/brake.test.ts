import assert from 'node:assert/strict'
import { firstExcess } from '../../../../chaos/judge/invariants/brake.js'
import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

const LIMIT = { max: 3, perMs: 10_000 }

function settled(count: number, everyMs = 1): Story {
  const story = new Story()
  for (let id = 1; id <= count; id += 1) story.create('braked', String(id), {}, { process: 'shop 1' })
  for (let id = 1; id <= count; id += 1) {
    story.wait(everyMs)
    story.settle('braked', String(id))
  }
  return story
}

describe('brake', () => {
  it('lets as many be settled as the brake allows', () => assertFine(settled(3)))

  it('lets more be settled once its time has passed', () => assertFine(settled(6, 5_500)))

  it('lets more be settled once it was released', () => {
    const story = settled(3)
    const release = {
      n: 99,
      process: 'shop 1',
      feature: 'brake',
      kind: 'braked',
      table: 'brakes',
      id: null,
      call: 'release',
      asked: {},
    } as const
    story.wishes.push({ ...release, invokedAt: story.now, completedAt: story.now + 5, answer: 'ok' })
    story.brake('braked', { since: story.now, settled: 0, braked: false }, 'shop 1')
    story.wait(10)
    for (const id of ['7', '8', '9']) {
      story.create('braked', id)
      story.settle('braked', id)
    }
    assertFine(story)
  })

  it('finds more than two windows that meet can hold', () => assertFound(settled(7), 'brake', /more than 3 within 10000 ms/))

  it('finds one too many over the windows that follow', () => assertFound(settled(12, 2_000), 'brake', /more than 3/))

  it('acquits what some division into windows explains', () => {
    // One begins shortly before the first, so that the second begins between the second and the third.
    assert.equal(firstExcess([0, 9_000, 10_500, 11_000, 12_000, 20_500], [], LIMIT), undefined)
  })

  it('finds what no division explains', () => {
    assert.equal(firstExcess([0, 1, 2, 3, 4, 5, 6], [], LIMIT), 6)
    assert.equal(firstExcess([0, 3_000, 6_000, 6_100, 6_200, 6_300, 8_000], [], LIMIT), 6)
  })

  it('uses each release once', () => {
    const release = { invokedAt: 300, completedAt: 400 }
    const instants = [0, 1, 2, 3, 4, 5, 3_000, 3_001, 3_002]
    assert.equal(firstExcess(instants, [release], LIMIT), undefined)
    assert.equal(firstExcess([...instants, 3_003], [release], LIMIT), 9)
  })
})
