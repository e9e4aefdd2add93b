// No statement of a rule's reaches Postgres, in a shop's life under each form of rule, that a look at the rule has not had planned. The shop's pool has
// one connection: what asks for another while it holds one waits in vain.

import assert from 'node:assert/strict'
import type { Sequelize } from 'sequelize'
import { plan } from '../../lib/admin/plan.js'
import { status } from '../../lib/admin/status.js'
import { sweepOnce } from '../../lib/admin/sweep-once.js'
import { type AnyRule, effect, transition } from '../../lib/index.js'
import { lockHolders } from '../../lib/rows/lock-holders.js'
import type { RowRule } from '../../lib/rows/row-rule.js'
import { connectionManagerOf } from '../../lib/sequelize/internals.js'
import { isPoolExhausted } from '../../lib/sequelize/pool-exhausted.js'
import { OWN_OPTIONS } from '../../lib/sequelize/query-options.js'
import { expire } from '../../lib/testing.js'
import { EVERY_SECOND, openParcels, type Parcels } from '../life/parcels.js'
import { runtimeOf } from '../support/runtime.js'
import { waitUntil } from '../support/waiting.js'

/** What reads no table of the rule’s: transactions, settings, clocks, catalogs, locks, values. */
const ELSEWHERE = [
  /^(?:START TRANSACTION|SET|COMMIT|ROLLBACK|SAVEPOINT)\b/,
  /^SELECT (?:N|N AS still_open|.* AS (?:order_timers_)?now)$/,
  /^SELECT place, .* pg_postmaster_start_time\(\)/, // which database a process beats in
  /^SELECT to_regclass\(\$N\) IS NOT NULL AS exists, has_table_privilege\(/,
  /^SELECT (?:coalesce\()?has_table_privilege\(/, // of our own tables
  /^SELECT l\.transactionid::text AS xid, .* FROM pg_locks /,
  /^SELECT l\.pid, .* FROM pg_locks /, // who has locked a table
  /^WITH lock AS \(SELECT hashtextextended\(.* FROM lock JOIN pg_locks /, // who holds the sweep's lock
  /^SELECT xid::text FROM pg_get_multixact_members\(/,
  /^SELECT a\.attname AS name, .* FROM pg_attribute /,
  /^SELECT c\.conname AS name, .* FROM pg_constraint /,
  /^SELECT row_security_active\(/,
  /^SELECT CAST\('TW' AS /,
  /^SELECT name FROM unnest\(/,
]

/** Without numbers and locks, which vary from one run of a statement to the next. */
function shape(sql: string): string {
  return sql
    .replace(/ SKIP LOCKED/g, '')
    .replace(/\d+/g, 'N')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Every statement of our own from now on, known by its options. */
function watch(sequelize: Sequelize): string[] {
  const seen: string[] = []
  const query = sequelize.query.bind(sequelize) as (...args: unknown[]) => Promise<unknown>
  Object.assign(sequelize, {
    query: (sql: unknown, options?: { retry?: unknown }) => {
      if (options?.retry === OWN_OPTIONS.retry) seen.push(sql as string)
      return query(sql, options)
    },
  })
  return seen
}

/** What waited for a connection in vain. */
function watchPool(sequelize: Sequelize): string[] {
  const inVain: string[] = []
  const manager = connectionManagerOf(sequelize)
  const getConnection = manager.getConnection.bind(manager)
  manager.getConnection = async (options) => {
    const { stack = '' } = new Error('asked for a connection')
    return getConnection(options).catch((error) => {
      if (isPoolExhausted(error)) inVain.push(stack)
      throw error
    })
  }
  return inVain
}

const ONE_CONNECTION = { database: { pool: { max: 1, acquire: 8_000 } } }

const CONFIRM = { from: 4, to: 5, deadline: 'dueAt' } as const
const WHILE = { keep: 'leftMs', while: { disputeOpen: true } } as const

/** How rules are made: each says something that another does not. */
const FORMS: Record<string, (parcels: Parcels) => Record<string, AnyRule>> = {
  'a transition': (parcels) => ({ confirm: transition(parcels, { ...CONFIRM, after: '24h' }) }),
  'a transition with everything': (parcels) => ({
    confirm: transition(parcels, {
      ...{ ...CONFIRM, after: '24h', history: true, brake: { max: 1, per: '1h' }, pause: { keep: 'leftMs' }, where: { isPaid: false } },
      ...{ set: { country: 'TW' }, maxExtensions: 3, extended: 'extended', backfill: { since: 'placedAt' }, afterCommit: () => {} },
      reminders: [{ before: '2h', run: () => {} }],
    } as never),
  }),
  'a transition with "since"': (parcels) => ({ confirm: transition(parcels, { from: 4, to: 5, since: 'placedAt', after: '1h' }) }),
  'a transition only in Redis': (parcels) => ({ confirm: transition(parcels, { from: 4, to: 5, deadline: false, after: '1h' }) }),
  'a function "after" and its backfill': (parcels) => ({
    confirm: transition(parcels, {
      ...{ ...CONFIRM, backfill: true },
      after: ({ country }) => (country === 'TW' ? '1h' : null),
    }),
  }),
  'a function "after" that counts by the calendar': (parcels) => ({
    confirm: transition(parcels, {
      ...{ ...CONFIRM, auto: true, backfill: { since: 'placedAt' } },
      after: (_, { from }) => new Date(from.getTime() + 3_600_000),
    }),
  }),
  'a pause by declaration': (parcels) => ({ confirm: transition(parcels, { ...CONFIRM, after: '24h', backfill: true, pause: WHILE }) }),
  'instances saved one by one': (parcels) => ({ confirm: transition(parcels, { ...CONFIRM, after: '24h', individualHooks: true }) }),
  'a dry run': (parcels) => ({ confirm: transition(parcels, { ...CONFIRM, after: '24h', dryRun: true, history: true, pause: WHILE }) }),
  'a cascade with "auto"': (parcels) => ({
    confirm: transition(parcels, { ...CONFIRM, after: '24h', auto: true }),
    rate: transition(parcels, { from: 5, to: 6, since: 'placedAt', after: '1h', auto: true }),
  }),
  'an effect with history and backfill': (parcels) => ({
    confirm: effect(parcels, {
      ...{ where: { status: 4 }, deadline: 'dueAt', after: '24h', backfill: true, history: true, pause: { keep: 'leftMs' } },
      run: (orders, { transaction }) => parcels.update({ status: 5 }, { where: { id: orders.map(({ id }) => id) }, transaction }),
    }),
  }),
}

/** How a trigger makes a settlement fail, so that it is looked whether the row is locked. */
const VETO = `CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER veto BEFORE UPDATE ON parcels FOR EACH ROW WHEN (OLD.country = 'XX' AND OLD.status = 4) EXECUTE FUNCTION veto()`

describe('The statements of a rule', () => {
  for (const [form, rules] of Object.entries(FORMS))
    it(`have all been planned before they run, and need one connection, under ${form}`, async () => {
      let seen: string[] = []
      let inVain: string[] = []
      const shop = await openParcels((parcels, sequelize) => {
        seen = watch(sequelize)
        inVain = watchPool(sequelize)
        return rules(parcels)
      }, ONE_CONNECTION)
      await shop.timers.check()
      const planned = new Set(seen.flatMap((sql) => (sql.startsWith('EXPLAIN ') ? [shape(sql.slice(8))] : [])))
      seen.length = 0

      await live(shop)
      const ran = seen.map(shape).filter((sql) => !ELSEWHERE.some((other) => other.test(sql)) && !sql.startsWith('EXPLAIN '))
      const unplanned = new Set(ran.filter((sql) => !planned.has(sql)))
      assert.deepEqual([...unplanned], [])
      assert.deepEqual(inVain, [])
      assert.ok(new Set(ran).size > 3, `${new Set(ran).size} statements ran`)
      await shop.close()
    })
})

type AnyShop = Awaited<ReturnType<typeof openParcels<Record<string, AnyRule>>>>

/** All that a shop, its worker, its tests and the command may ask of the rule; what a form has not, is refused. */
async function live(shop: AnyShop): Promise<void> {
  const { timers } = shop
  const runtime = runtimeOf(timers)
  const row = runtime.rule('confirm').row as RowRule
  const refused = () => undefined
  const long = new Date(Date.now() - 30 * 86_400_000)
  const ids = []
  for (const values of [
    {},
    { country: 'JP' },
    { disputeOpen: true },
    { country: 'XX' },
    { leftMs: 1_000 },
    { status: 9 },
    { placedAt: long },
  ])
    ids.push(await shop.parcel(-1_000, { placedAt: new Date(Date.now() - 3_700_000), ...values }), await shop.parcel(null, values))
  await shop.parcel(3_600_000)
  await shop.sql('UPDATE parcels SET "dueAt" = $1 WHERE "placedAt" = $1', [long])
  const id = await shop.parcel()
  await timers.schedule('confirm', id).catch(refused)
  await timers.schedule('confirm', await shop.find(id)).catch(refused)
  await timers.schedule('confirm', id, { at: new Date(Date.now() + 60_000) }).catch(refused)
  await timers.extend('confirm', id, '1h').catch(refused)
  await timers.pause('confirm', id).catch(refused)
  await timers.resume('confirm', id).catch(refused)
  await timers.cancel('confirm', id).catch(refused)
  await timers.remaining('confirm', id)
  await timers.remaining('confirm', ids)
  await timers.list(id)
  await timers.schedule('confirm', id).catch(refused)
  await plan(runtime)
  await status(runtime)
  await lockHolders(row.guard, ids.map(String))
  await shop.sql(VETO)
  const worker = await shop.worker(EVERY_SECOND)
  await worker.sweepNow()
  await timers.release('confirm').catch(refused)
  await worker.sweepNow()
  await expire(worker, 'confirm', id, { within: '1s' }).catch(refused)
  await waitUntil(() => worker.health().busy === 0)
  await worker.stop()
  if (row.history) await shop.sql('UPDATE order_timers_history SET next_try = now() WHERE reminder = $1', [''])
  await sweepOnce(runtime, {})
  await sweepOnce(runtime, { stale: true })
  await plan(runtime)
}
