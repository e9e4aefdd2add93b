import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ArmBatches } from '../../lib/redis/arm-batches.js'

describe('timers to be armed', () => {
  let sent: string[][]
  let answers: ((error?: Error) => void)[]
  let batches: ArmBatches

  beforeEach(() => {
    sent = []
    answers = []
    batches = new ArmBatches((kind, timers) => {
      sent.push([kind, ...timers.map(({ id }) => id)])
      return new Promise((resolve, reject) => answers.push((error) => (error ? reject(error) : resolve())))
    })
  })

  const add = (kind: string, ids: number[], partition?: number) =>
    Promise.allSettled(ids.map((id) => batches.add(kind, { id: String(id), deadlineMs: id }, partition)))
  const states = async (added: ReturnType<typeof add>) => (await added).map(({ status }) => status)

  it('go at once if none awaits its answer', async () => {
    const first = add('confirm', [1])
    assert.deepEqual(sent, [['confirm', '1']])
    answers[0]?.()
    await first
    await nextTurn()
    void add('confirm', [2])
    assert.deepEqual(sent.slice(1), [['confirm', '2']])
  })

  it('go together at the end of the turn if one awaits its answer: by kind, and in a cluster by partition', async () => {
    void add('confirm', [1, 2, 3])
    void add('cancel', [4])
    void add('confirm', [5])
    void add('confirm', [6, 7], 3)
    assert.deepEqual(sent, [['confirm', '1']])
    await nextTurn()
    assert.deepEqual(sent.slice(1), [
      ['confirm', '2', '3', '5'],
      ['cancel', '4'],
      ['confirm', '6', '7'],
    ])
  })

  it('go in batches of fifty', async () => {
    void add(
      'confirm',
      Array.from({ length: 120 }, (_, i) => i),
    )
    await nextTurn()
    assert.deepEqual(
      sent.map((batch) => batch.length - 1),
      [1, 50, 50, 19],
    )
  })

  it('succeed and fail with their batch; after a failure one alone goes at once again', async () => {
    const added = add('confirm', [1, 2, 3])
    await nextTurn()
    answers[0]?.()
    answers[1]?.(new Error('no answer'))
    assert.deepEqual(await states(added), ['fulfilled', 'rejected', 'rejected'])
    const last = add('confirm', [4])
    assert.deepEqual(sent.at(-1), ['confirm', '4'])
    answers[2]?.()
    assert.deepEqual(await states(last), ['fulfilled'])
  })
})
