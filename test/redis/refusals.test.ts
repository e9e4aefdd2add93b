import assert from 'node:assert/strict'
import { Refusals } from '../../lib/redis/refusals.js'
import { waitUntil } from '../support/waiting.js'

const FULL = new Error("OOM command not allowed when used memory > 'maxmemory'.")

/** Of a cluster with three partitions, of which one does not answer and one may refuse. */
function ofCluster() {
  const refusals = new Refusals()
  refusals.isParted = true
  refusals.partitions = () => [0, 1, 2]
  const asked = [0, 0, 0]
  const node = { refuses: true }
  refusals.probe = async (partition = 0) => {
    asked[partition]! += 1
    if (partition === 1) return new Promise(() => {})
    const probe = { what: `probe in partition ${partition}`, partition }
    if (partition !== 2 || !node.refuses) return refusals.accept(probe.what, 'memory')
    refusals.note(probe, FULL) // as the connection does
    throw FULL
  }
  const ended = { times: 0 }
  refusals.onAccepted(() => {
    ended.times += 1
  })
  return { refusals, asked, node, ended }
}

describe('Writes that one node of a cluster refuses', () => {
  it('are accepted again when it takes them, whoever else is silent, and are not proved by others', async () => {
    const [over, silent, elsewhere] = [ofCluster(), ofCluster(), ofCluster()]
    for (const { refusals } of [over, silent]) refusals.note({ what: 'arm order_confirm in partition 2', partition: 2 }, FULL)
    silent.refusals.note({ what: 'arm order_confirm in partition 1', partition: 1 }, FULL)
    // The index was on a node that accepts, the timer's own key on one that refuses.
    elsewhere.refusals.note({ what: 'arm order_confirm' }, FULL)
    await waitUntil(() => (over.asked[2] ?? 0) >= 2)
    for (const { node } of [over, silent]) node.refuses = false
    await waitUntil(() => over.ended.times > 0 && silent.refusals.present?.partition === 1, { within: 10_000 })
    await waitUntil(() => elsewhere.refusals.present?.partition === 2, { within: 10_000 })
    assert.equal(over.refusals.present, undefined)
    assert.deepEqual([silent.ended.times, elsewhere.ended.times], [0, 0])
    assert.deepEqual(
      [over, silent, elsewhere].map(({ asked }) => asked[1]),
      [1, 1, 1],
    )
    for (const { refusals } of [over, silent, elsewhere]) refusals.stop()
  }).timeout(20_000)
})
