import assert from 'node:assert/strict'
import { clockDifference, leastDifference } from '../../lib/admin/server-status.js'

describe('the difference of two clocks', () => {
  const read = (offset: number, tookMs: number) => ({ least: offset - tookMs / 2, most: offset + tookMs / 2 })

  it('is the part that round trips cannot explain', () => {
    assert.equal(leastDifference(read(30_000, 2), read(0, 2)), 29_998)
    assert.equal(leastDifference(read(0, 2), read(30_000, 2)), -29_998)
    assert.equal(leastDifference(read(30_000, 4_000), read(0, 2_000)), 27_000)
  })

  it('is none if a slow answer may explain all of it', () => {
    assert.equal(leastDifference(read(1_200, 2_400), read(0, 2)), 0)
    assert.equal(leastDifference(read(-1_200, 2), read(0, 2_400)), 0)
    assert.equal(leastDifference(read(0, 0), read(0, 0)), 0)
  })

  it('is not known after some seconds if Redis takes the question and does not answer', async () => {
    const client = { time: () => new Promise(() => {}) }
    const redis = { connection: { client, ask: (command: (of: object) => unknown) => command(client) } }
    const row = { guard: { table: { sequelize: {} } } }
    assert.equal(await clockDifference({ redis } as never, [{ row }] as never), undefined)
  }).timeout(15_000)
})
