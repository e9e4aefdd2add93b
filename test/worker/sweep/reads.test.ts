// A session that holds the lock under which sweeps read: orders are late, and that is told with the session; another worker's sweep is work.

import assert from 'node:assert/strict'
import type { Client } from 'pg'
import { describeHolder, holdersOf, type LockHolder } from '../../../lib/rows/sweep-lock.js'
import { confirmed, confirming, countIn, EVERY_SECOND, shipUnarmed } from '../../faults/confirming.js'
import { sequelizeOn } from '../../support/database.js'
import { openShop, type ShopOptions } from '../../support/shop.js'
import { holdsFor, waitUntil } from '../../support/waiting.js'

describe('The sweep’s lock', () => {
  for (const [form, lockFunction] of [
    ['a transaction', 'pg_advisory_xact_lock'],
    ['a session', 'pg_advisory_lock'],
  ] as const) {
    for (const redis of [undefined, false] as const) {
      it(`held by ${form}, ${redis === false ? 'without Redis' : 'with Redis'}: told with its holder after three intervals, over once it is let go`, async () => {
        const shop = await openShop(confirming(), { ...(redis === false && { redis }) } as ShopOptions)
        const worker = await shop.worker({ fallback: EVERY_SECOND })
        const other = await shop.worker({ fallback: EVERY_SECOND })
        await waitUntil(() => worker.health().sweep.lastReadAt)
        const holder = await shop.database.connect()
        await hold(holder, lockFunction, shop.redis.prefix)
        const heldAt = new Date()
        await shipUnarmed(shop.database, 3, -1_000)
        const faults = () => worker.health().faults.filter(({ code }) => code === 'SWEEP_BLOCKED')
        await waitUntil(() => faults().length > 0, { within: 15_000, what: 'the fault' })
        const [fault] = faults()
        const { rows } = await holder.query('SELECT pg_backend_pid() AS pid')
        assert.equal(fault?.kind, 'order_confirm')
        assert.match(fault?.message ?? '', new RegExp(`pid ${rows[0].pid}, application "by hand"`))
        assert.match(fault?.remedy ?? '', new RegExp(`pg_terminate_backend\\(${rows[0].pid}\\)`))
        const { lastReadAt, lastEndedAt } = worker.health().sweep
        assert.ok((lastReadAt as Date) <= new Date(heldAt.getTime() + 1_000), 'it says that it has read since')
        assert.ok((lastEndedAt as Date) > heldAt)
        assert.equal(await countIn(shop.database, 5), 0)
        await waitUntil(() => other.health().faults.some(({ code }) => code === 'SWEEP_BLOCKED'))
        await holder.query(lockFunction === 'pg_advisory_lock' ? 'SELECT pg_advisory_unlock_all()' : 'COMMIT')
        await confirmed(shop, 3, 10_000)
        await waitUntil(() => [...faults(), ...other.health().faults].length === 0, { within: 10_000, what: 'the fault to be over' })
        assert.ok((worker.health().sweep.lastReadAt as Date) > heldAt)
        await shop.close()
      }).timeout(60_000)
    }
  }

  it('is told with its holder and the GRANT that is missing where this role may not see for how long', async () => {
    const shop = await openShop(confirming())
    const { client, schema, url, connect } = shop.database
    await client.query(`CREATE ROLE ${schema} LOGIN PASSWORD 'plain'; GRANT USAGE ON SCHEMA ${schema} TO ${schema}`)
    const plain = openDatabaseAs(url, schema)
    const holder = await connect()
    await holder.query('BEGIN')
    await holder.query('SELECT pg_advisory_xact_lock(hashtextextended(concat($1::text, current_schema()), 0))', ['some sweep'])
    const seen = await plain.transaction((transaction) => holdersOf(plain, 'some sweep', transaction))
    const { rows } = await holder.query('SELECT pg_backend_pid() AS pid')
    assert.deepEqual(
      seen.map(({ pid, application, user, openMs, asker }) => ({ pid, application, user, openMs, asker })),
      [{ pid: rows[0].pid, application: 'by hand', user: 'postgres', openMs: null, asker: schema }],
    )
    assert.ok(
      describeHolder(seen[0] as LockHolder).includes(`GRANT pg_read_all_stats TO "${schema}"`),
      describeHolder(seen[0] as LockHolder),
    )
    await holder.query('ROLLBACK')
    await client.query(`GRANT pg_read_all_stats TO ${schema}`)
    await holder.query('BEGIN')
    await holder.query('SELECT pg_advisory_xact_lock(hashtextextended(concat($1::text, current_schema()), 0))', ['some sweep'])
    const [able] = await plain.transaction((transaction) => holdersOf(plain, 'some sweep', transaction))
    assert.match(describeHolder(able as LockHolder), /in a transaction that has been open for \d+ s$/)
    await holder.query('ROLLBACK')
    await plain.close()
    await client.query(`DROP OWNED BY ${schema}; DROP ROLE ${schema}`)
    await shop.close()
  })

  for (const redis of [undefined, false] as const) {
    it(`held by other workers’ sweeps is no fault, ${redis === false ? 'without Redis' : 'with Redis'}`, async () => {
      const shop = await openShop(confirming(), { ...(redis === false && { redis }) } as ShopOptions)
      const workers = await Promise.all([1, 2, 3].map(() => shop.worker({ fallback: EVERY_SECOND })))
      await holdsFor(6_000, () => workers.every((worker) => worker.health().status === 'ok'), { every: 100 })
      for (const worker of workers) {
        const { lastReadAt, lastReadBy } = worker.health().sweep
        assert.ok(Date.now() - (lastReadAt as Date).getTime() < 6_000)
        assert.ok(lastReadBy === 'this worker' || lastReadBy === 'another worker')
      }
      await shop.close()
    }).timeout(30_000)
  }
})

function openDatabaseAs(url: string, role: string) {
  return sequelizeOn(Object.assign(new URL(url), { username: role, password: 'plain' }).href, role, {})
}

/** Takes the lock that the sweep asks for. */
async function hold(client: Client, lockFunction: string, prefix: string): Promise<void> {
  if (lockFunction === 'pg_advisory_xact_lock') await client.query('BEGIN')
  const name = `express-order-timers:sweep:${prefix}order_confirm:"orders"`
  await client.query(`SELECT ${lockFunction}(hashtextextended(concat($1::text, current_schema()), 0))`, [name])
}
