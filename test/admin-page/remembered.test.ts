import assert from 'node:assert/strict'
import { type Aged, Remembered } from '../../lib/admin-page/remembered.js'

/** Looks that end when they are told to. */
function looks() {
  const ends: { with(value: string): void; fail(): void }[] = []
  const look = () =>
    new Promise<string>((resolve, reject) => ends.push({ with: resolve, fail: () => reject(new Error('the server is away')) }))
  return { ends, look }
}

describe('what the page remembers', () => {
  const valueIn = ({ value }: Aged<string>) => value

  it('is read once for all who ask at the same time', async () => {
    const remembered = new Remembered<string>({ freshMs: 60_000, maxAgeMs: 60_000 })
    const { ends, look } = looks()
    const [one, other] = [remembered.get('', look), remembered.get('', look)]
    ends[0]?.with('found')
    assert.deepEqual([valueIn(await one), valueIn(await other), valueIn(await remembered.get('', look))], ['found', 'found', 'found'])
    assert.equal(ends.length, 1)
  })

  it('is given with its age while a new reading is slow, and while readings fail', async () => {
    const remembered = new Remembered<string>({ freshMs: 0, waitMs: 1, maxAgeMs: 60_000 })
    const { ends, look } = looks()
    const first = remembered.get('', look)
    ends[0]?.with('old')
    await first
    const slow = await remembered.get('', look)
    assert.equal(slow.value, 'old')
    assert.ok(slow.ageMs >= 0)
    ends[1]?.fail()
    assert.equal((await remembered.get('', look)).value, 'old')
    ends[2]?.with('new')
  })

  it('is not given when it is too old: the answer says that nothing could be read', async () => {
    const remembered = new Remembered<string>({ freshMs: 0, waitMs: 1, maxAgeMs: 0 })
    const { ends, look } = looks()
    const first = remembered.get('', look)
    ends[0]?.with('old')
    await first
    const second = remembered.get('', look)
    ends[1]?.fail()
    await assert.rejects(second, /the server is away/)
  })

  it('does not block a caller that cannot wait: the first answer is there for the next one', async () => {
    const remembered = new Remembered<string>({ freshMs: 60_000, maxAgeMs: 60_000 })
    const { ends, look } = looks()
    assert.equal(await remembered.soon('', look, 1), undefined)
    ends[0]?.with('found')
    const next = await remembered.soon('', look, 60_000)
    assert.equal(next && valueIn(next), 'found')
    const failing = remembered.soon('other', look, 60_000)
    ends[1]?.fail()
    await assert.rejects(failing, /the server is away/)
    assert.equal(ends.length, 2)
  })

  it('is given with its age to a caller that cannot wait for a new reading', async () => {
    const remembered = new Remembered<string>({ freshMs: 0, maxAgeMs: 60_000 })
    const { ends, look } = looks()
    const first = remembered.get('', look)
    ends[0]?.with('old')
    await first
    const soon = await remembered.soon('', look, 1)
    assert.equal(soon && valueIn(soon), 'old')
    ends[1]?.with('new')
  })

  it('is forgotten together with readings in progress, which may have missed the change', async () => {
    const remembered = new Remembered<string>({ freshMs: 60_000, waitMs: 1, maxAgeMs: 60_000 })
    const { ends, look } = looks()
    const before = remembered.get('', look)
    remembered.forget()
    const after = remembered.get('', look)
    ends[0]?.with('before the act')
    assert.equal(valueIn(await before), 'before the act')
    ends[1]?.with('after the act')
    assert.equal(valueIn(await after), 'after the act')
    assert.equal(valueIn(await remembered.get('', look)), 'after the act')
  })
})
