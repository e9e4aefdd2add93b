import { Story } from '../story.js'
import { assertFine, assertFound } from '../verdicts.js'

describe('told', () => {
  it('lets a worker report what it settled, or say nothing', () => {
    const story = new Story()
    story.create('pay', '1')
    story.settle('pay', '1')
    assertFine(story)
    assertFine(story, { told: [] })
  })

  it('finds a report of what was not settled', () => {
    const story = new Story()
    story.create('pay', '1')
    story.told.push({ event: 'settled', by: 'worker 1', at: story.now, kind: 'pay', details: { ids: ['1'] } })
    assertFound(story, 'told', /reported as settled 1 times and settled 0 times/)
  })

  it("finds a fault that is the package's own, and none that a server brings about", () => {
    const story = new Story()
    const fault = (code: string) => ({ told: [{ event: 'fault', by: 'worker 1', at: story.now, kind: 'pay', details: { code } }] })
    assertFound(story, 'told', /worker 1 reported the fault INTERNAL/, fault('INTERNAL'))
    assertFine(story, fault('POSTGRES_UNAVAILABLE'))
  })

  it('finds a settlement that was reported twice', () => {
    const story = new Story()
    story.create('pay', '1')
    story.settle('pay', '1')
    story.told.push({ ...story.told[0]!, by: 'worker 2' })
    assertFound(story, 'told', /reported as settled 2 times/)
  })
})
