import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Journal, readJournals } from '../../chaos/journal.js'
import { Wishes } from '../../chaos/shop/wishes.js'

describe('the journal of a process', () => {
  let directory: string

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'journal-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const wishes = () => new Wishes(new Journal(directory, 'shop 1'), 100)
  const ask = (id: string | null) => ({ kind: 'order_pay', call: 'create', id }) as const

  it('has each wish with what was answered', async () => {
    const own = wishes()
    await own.make(ask(null), async () => ({ id: '7', deadline: 5 }))
    await own.make({ ...ask('8'), call: 'extend', asked: { by: 3 } }, async () => {
      throw Object.assign(new Error('too late'), { code: 'ERR_ORDER_TIMERS_NO_TIMER', status: 409 })
    })
    const [created, extended] = readJournals(directory).wishes
    assert.equal(created?.n, 101)
    assert.deepEqual([created?.id, created?.answer, created?.got, created?.process], ['7', 'ok', { deadline: 5 }, 'shop 1'])
    assert.deepEqual([extended?.answer, extended?.got?.code, extended?.asked], ['refused', 'ERR_ORDER_TIMERS_NO_TIMER', { by: 3 }])
    assert.ok((extended?.completedAt ?? 0) > (extended?.invokedAt ?? 0))
  })

  it('has those of one statement under one number, each with its order', async () => {
    const own = wishes()
    const n = own.number()
    await own.makeAll(
      [
        { ...ask('1'), n },
        { ...ask('2'), n },
      ],
      async () => [{ armed: true }, { armed: false }],
    )
    const found = readJournals(directory).wishes.map(({ n: number, id, got }) => [number, id, got?.armed])
    assert.deepEqual(found, [
      [n, '1', true],
      [n, '2', false],
    ])
  })

  it('leaves what a killed process had begun unknown forever, and drops a line that was cut', () => {
    void wishes().make(ask('9'), () => new Promise(() => {}))
    const [file] = readdirSync(directory)
    appendFileSync(join(directory, file as string), '{"answered":[{"n":101,"id":"9","ans')
    const [wish] = readJournals(directory).wishes
    assert.deepEqual([wish?.id, wish?.answer, wish?.completedAt], ['9', 'unknown', Number.POSITIVE_INFINITY])
  })
})
