import assert from 'node:assert/strict'
import { type BulkShop, confirmRule, openBulkShop } from '../support/bulk-shop.js'
import { ChildProgram } from '../support/child-program.js'
import { waitUntil } from '../support/waiting.js'

const ORDERS = 20_000
const HOUR_MS = 3_600_000
const MAIN = new URL('../support/bulk-main.ts', import.meta.url)

describe('a run over many orders', function () {
  this.timeout(120_000)
  let shop: BulkShop<ReturnType<typeof confirmRule>>

  beforeEach(async () => {
    shop = await openBulkShop(confirmRule)
  })

  afterEach(() => shop.close())

  it('that is killed three times moves each order once, and none is settled before its new deadline', async () => {
    // Half of them are overdue, and the others come due meanwhile.
    await shop.database.client.query(`INSERT INTO orders (status, "confirmDueAt", "createdAt", "updatedAt")
      SELECT 4, date_trunc('ms', now()) + (n - ${ORDERS / 2}) * interval '1 millisecond', now(), now() FROM generate_series(1, ${ORDERS}) AS n`)
    const before = await shop.deadlines()
    const { url: databaseUrl, schema } = shop.database
    const { url: redisUrl, prefix } = shop.redis
    const place = { databaseUrl, schema, redisUrl, prefix }

    let worker: Awaited<ReturnType<typeof shop.worker>> | undefined
    const movedAt: number[] = []
    for (const most of [ORDERS / 4, ORDERS / 2, (3 * ORDERS) / 4]) {
      const runner = await ChildProgram.start(MAIN, { ...place, resume: movedAt.length > 0 })
      let moved = 0
      while (moved < most) moved = await runner.receive<number>('moved', 60_000)
      await runner.kill()
      worker ??= await shop.worker({ fallback: '* * * * * *' })
      const [run] = await shop.runs()
      assert.equal(run?.state, 'running')
      movedAt.push(run?.moved ?? 0)
    }
    assert.ok(
      movedAt.every((moved, i) => moved > (movedAt[i - 1] ?? 0)),
      'each went on',
    )
    const last = await ChildProgram.start(MAIN, { ...place, resume: true })
    assert.equal(await last.receive<number>('ended', 60_000), ORDERS)

    assert.deepEqual(worker?.settled, [])
    const expected = [...before].map(([id, at]) => [id, (at as number) + HOUR_MS])
    assert.deepEqual([...(await shop.deadlines('status = 4'))], expected)
    assert.deepEqual(
      (await shop.runs()).map(({ state, moved, skipped }) => ({ state, moved, skipped })),
      [{ state: 'done', moved: ORDERS, skipped: [] }],
    )
    assert.equal((await shop.actions()).length, 2, 'one act, and its end')
    await shop.timers.schedule('order_confirm', 1, { after: 1 })
    await waitUntil(() => worker?.settled.length === 1)
  })
})
