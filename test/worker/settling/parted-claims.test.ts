import assert from 'node:assert/strict'
import { PartedClaims } from '../../../lib/worker/settling/parted-claims.js'
import { refused } from '../../support/refused.js'

const PARTS = new Map([
  [0, ['1', '2']],
  [3, ['3']],
])

const notLate = (partition: number) => assert.fail(`given back in ${partition}`)

describe('Claims in several partitions', () => {
  it('take what the partitions have that answer, and leave the rest', async () => {
    const claims = new PartedClaims()
    const claim = async (partition: number, ids: readonly string[]) => {
      if (partition === 3) throw new Error('OOM')
      return { token: 't', ids: [...ids] }
    }
    const { ids, partitions, unclaimed } = await claims.claim('t', PARTS, claim, notLate)
    assert.deepEqual([ids, partitions, unclaimed], [['1', '2'], [0], ['3']])
    assert.equal((await refused(() => claims.claim('t', new Map([[3, ['3']]]), claim, notLate))).code, 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE')
  })

  it('wait a second for one, leave it out then, and give back what it claims later', async () => {
    const claims = new PartedClaims()
    const asked: number[] = []
    const givenBack: number[] = []
    let answer = () => {}
    const claim = async (partition: number, ids: readonly string[]) => {
      asked.push(partition)
      if (partition === 3) await new Promise<void>((resolve) => (answer = resolve))
      return { token: 't', ids: [...ids] }
    }
    const startedAt = performance.now()
    assert.deepEqual((await claims.claim('t', PARTS, claim, notLate)).unclaimed, ['3'])
    assert.ok(performance.now() - startedAt > 900)
    assert.deepEqual((await claims.claim('u', PARTS, claim, notLate)).unclaimed, ['3'])
    assert.deepEqual(asked, [0, 3, 0])

    const others = new PartedClaims()
    const late = await others.claim(
      'v',
      new Map([
        [3, ['3']],
        [0, []],
      ]),
      claim,
      (partition) => givenBack.push(partition),
    )
    assert.deepEqual(late.unclaimed, ['3'])
    answer()
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(givenBack, [3])
  })
})
