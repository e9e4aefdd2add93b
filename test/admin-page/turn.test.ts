import assert from 'node:assert/strict'
import { Turn } from '../../lib/admin-page/turn.js'

/** Work that goes on until it is told to end, and notes when it begins. */
function workNamed(name: string, begun: string[]) {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const work = () => {
    begun.push(name)
    return ended
  }
  return { work, end: () => end() }
}

describe('the turns of the page', () => {
  it('are one at a time, in the order of arrival', async () => {
    const begun: string[] = []
    const turn = new Turn()
    const [one, other] = [workNamed('one', begun), workNamed('other', begun)]
    const first = turn.take(one.work)
    const second = turn.take(other.work)
    one.end()
    await first
    other.end()
    await second
    assert.deepEqual(begun, ['one', 'other'])
  })

  it('serve a reading that nobody waits for only when nobody else reads', async () => {
    const begun: string[] = []
    const turn = new Turn()
    const [one, other, last] = [workNamed('one', begun), workNamed('other', begun), workNamed('nobody waits', begun)]
    const first = turn.take(one.work)
    const quiet = turn.takeWhenQuiet(last.work)
    last.end()
    const second = turn.take(other.work)
    one.end()
    await first
    other.end()
    await second
    await quiet
    assert.deepEqual(begun, ['one', 'other', 'nobody waits'])
  })
})
