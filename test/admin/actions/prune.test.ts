import assert from 'node:assert/strict'
import { pruneAct } from '../../../lib/admin/actions/prune.js'
import { transition } from '../../../lib/index.js'
import { HISTORY_TABLE, History } from '../../../lib/rows/history.js'
import { refused } from '../../support/refused.js'
import { openActingShop, SUPPORT } from './acting.js'

describe('pruning', () => {
  it('removes old rows of the history, except what afterCommit and reminders still need, and of the record of actions', async () => {
    const shop = await openActingShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', history: true }),
    }))
    const { client } = shop.database
    for (const sql of History.createSql(HISTORY_TABLE)) await client.query(sql)
    await client.query(`INSERT INTO order_timers_history (kind, order_id, settled_at, deadline, reminder, next_try, via, worker) VALUES
      ('order_confirm', 'old', now() - interval '9 days', now() - interval '9 days', '', NULL, 'alarm', 'w'),
      ('order_confirm', 'owed', now() - interval '9 days', now() - interval '9 days', '', now(), 'alarm', 'w'),
      ('order_confirm', 'reminded', now() - interval '9 days', now() + interval '9 days', '10d', NULL, 'alarm', 'w'),
      ('order_confirm', 'reminded and over', now() - interval '9 days', now() - interval '8 days', '10d', NULL, 'alarm', 'w'),
      ('of_another_shop', 'old', now() - interval '9 days', now() - interval '9 days', '', NULL, 'alarm', 'w'),
      ('order_confirm', 'new', now(), now(), '', NULL, 'alarm', 'w')`)
    await client.query(`INSERT INTO order_timers_history (kind, order_id, settled_at, via, worker)
      SELECT 'order_confirm', 'many', now() - interval '30 days', 'alarm', 'w' FROM generate_series(1, 12000)`)
    await client.query(`INSERT INTO order_timers_actions (prefix, at, action, kind, actor, via, state, count, order_ids, orders) VALUES
      ('${shop.redis.prefix}', now() - interval '9 days', 'cancel', 'order_confirm', 'a', 'page', 'done', 0, '{}', '[]'),
      ('other:', now() - interval '9 days', 'cancel', 'order_confirm', 'a', 'page', 'done', 0, '{}', '[]')`)
    assert.deepEqual(await pruneAct(shop.runtime, '7d', SUPPORT), { history: 12_002, actions: 1 })
    const { rows } = await client.query('SELECT order_id FROM order_timers_history ORDER BY id')
    assert.deepEqual(
      rows.map(({ order_id }) => order_id),
      ['owed', 'reminded', 'old', 'new'],
    )
    const [entry, ...others] = await shop.recorded()
    assert.deepEqual([entry?.action, entry?.state, entry?.count, others], ['prune', 'done', 12_003, []])
    for (const age of ['1h', 0, 'long', undefined])
      assert.equal((await refused(() => pruneAct(shop.runtime, age, SUPPORT))).code, 'ERR_ORDER_TIMERS_INVALID_DURATION')
    await shop.close()
  })

  it('is recorded as failed if Postgres refuses the removal', async () => {
    const shop = await openActingShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    }))
    const { client } = shop.database
    await client.query(`INSERT INTO order_timers_actions (prefix, at, action, kind, actor, via, state, count, order_ids, orders) VALUES
      ('${shop.redis.prefix}', now() - interval '9 days', 'cancel', 'order_confirm', 'a', 'page', 'done', 0, '{}', '[]')`)
    await client.query(`CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'they are kept'; END $$`)
    await client.query('CREATE TRIGGER keep BEFORE DELETE ON order_timers_actions FOR EACH ROW EXECUTE FUNCTION keep()')
    await assert.rejects(pruneAct(shop.runtime, '7d', SUPPORT), /they are kept/)
    const [entry] = await shop.recorded()
    assert.deepEqual([entry?.action, entry?.state, entry?.error], ['prune', 'failed', 'they are kept'])
    await shop.close()
  })

  it('without the right to remove rows says which, removes none, and is recorded as failed', async () => {
    const shop = await openActingShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    }))
    const { client } = shop.database
    await client.query(`INSERT INTO order_timers_actions (prefix, at, action, kind, actor, via, state, count, order_ids, orders) VALUES
      ('${shop.redis.prefix}', now() - interval '9 days', 'cancel', 'order_confirm', 'a', 'page', 'done', 0, '{}', '[]')`)
    await client.query(`CREATE FUNCTION may_not() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'permission denied for table order_timers_actions' USING ERRCODE = 'insufficient_privilege'; END $$;
      CREATE TRIGGER may_not BEFORE DELETE ON order_timers_actions FOR EACH STATEMENT EXECUTE FUNCTION may_not()`)
    const { code, message } = await refused(() => pruneAct(shop.runtime, '7d', SUPPORT))
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    assert.match(message, /may not remove rows of \S*order_timers_actions"?; GRANT SELECT, DELETE ON /)
    assert.deepEqual(
      (await shop.recorded()).map(({ action, state }) => [action, state]),
      [
        ['prune', 'failed'],
        ['cancel', 'done'],
      ],
    )
    await shop.close()
  })
})
