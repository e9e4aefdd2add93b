// When a claim that was made ahead may begin: by Postgres's clock where the deadline is on the row, and never much later than it was claimed for.

import assert from 'node:assert/strict'
import type { ClockEstimate } from '../../../lib/clock-estimate.js'
import { orderTimers, transition } from '../../../lib/index.js'
import { postgresClock } from '../../../lib/sequelize/postgres-clock.js'
import { Clocks } from '../../../lib/worker/clocks.js'
import { IndexClaims } from '../../../lib/worker/settling/index-claims.js'
import { AHEAD_MS } from '../../../lib/worker/settling/next-claim.js'
import { KIND, OpenedIndex } from '../../redis/opened-index.js'
import { type Database, openDatabase } from '../../support/database.js'
import { runtimeOf } from '../../support/runtime.js'

describe('when a claim may begin', () => {
  let opened: OpenedIndex
  let database: Database
  let clocks: Clocks
  let postgres: ClockEstimate

  beforeEach(async () => {
    opened = await OpenedIndex.open()
    database = await openDatabase()
    const rules = { [KIND]: transition(database.Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }), call: () => {} }
    const runtime = runtimeOf(orderTimers({ redis: false, logger: false, rules }))
    clocks = new Clocks(new Map(runtime.workerRules().map((rule) => [rule.kind, rule])), opened.clock)
    postgres = postgresClock(database.sequelize)
    postgres.forget()
  })

  afterEach(async () => {
    await opened.close()
    await database.close()
  })

  /** Postgres's clock is so much ahead of Redis's, by a reading that took no time. */
  const readPostgres = (aheadMs: number) => postgres.note((opened.clock.known() as number) + aheadMs, performance.now(), performance.now())

  it('is when Postgres has the deadline behind it, however inexact the reading of Redis is', async () => {
    await opened.clock.now()
    readPostgres(5_000)
    const due = clocks.dueAt(KIND, (postgres.now() as number) + 100) as number
    assert.ok(Math.abs(due - performance.now() - 100) < 20)
    assert.equal(clocks.dueAt('call', Date.now()), undefined, 'only Redis knows its deadlines')
    const inexact = performance.now() - 100
    postgres.forget()
    postgres.note(Date.now(), inexact, performance.now()) // somewhere within 100 ms
    assert.ok((clocks.dueAt(KIND, postgres.now() as number) as number) - performance.now() > 45, 'later by what the reading leaves open')
    postgres.forget()
    assert.equal(clocks.dueAt(KIND, Date.now()), undefined, 'not read yet')
  })

  for (const [title, dueAt] of [
    ['Postgres’s clock was set back meanwhile', () => performance.now() + 3_600_000],
    ['Postgres’s clock is unknown', () => undefined],
  ] as const) {
    it(`is at most a few milliseconds later where ${title}`, async () => {
      const { leases, failures, keys } = opened
      await opened.arm('1', (await opened.clock.now()) + 40)
      const claims = new IndexClaims({ leases, failures, keys, leaseMs: () => 1_000, skewMs: () => 60, dueAt, token: () => 'token' })
      const { work } = await claims.due({ kind: KIND } as never, 10, 0)
      assert.deepEqual(work.ids, ['1'])
      assert.ok((work.dueAt as number) <= performance.now() + AHEAD_MS)
    })
  }
})
