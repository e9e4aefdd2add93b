// Web processes and workers as users of Redis and Postgres with the least rights: the very files of example/deploy/. They do all that they do, Redis
// refuses nothing, and no command is granted that neither needs.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import type { Model, Sequelize } from 'sequelize'
import { runMainJob } from '../../example/once/main-job.js'
import { act } from '../../lib/admin/actions/act.js'
import { rearmAct } from '../../lib/admin/actions/rearm.js'
import type { ActName } from '../../lib/admin/actions/request.js'
import { redisRights } from '../../lib/admin/doctor/redis-rights.js'
import { subjectOf } from '../../lib/admin/doctor/subject.js'
import { listOrders } from '../../lib/admin/order-list.js'
import { status } from '../../lib/admin/status.js'
import { watch } from '../../lib/admin/watch.js'
import { parseWish } from '../../lib/admin-page/act-wish.js'
import { Answers } from '../../lib/admin-page/answers.js'
import { parseAdminOptions } from '../../lib/admin-page/options.js'
import { STUCK_STATES } from '../../lib/admin-page/screens/stuck.js'
import { orderTimersHealth } from '../../lib/health/routes.js'
import { startExpiryWorker, transition } from '../../lib/index.js'
import { Keys } from '../../lib/keys.js'
import { Counting } from '../../lib/metrics/counting.js'
import { aclRules, REDIS_COMMANDS, type RedisRole } from '../../lib/redis/rights.js'
import { ACTIONS_TABLE, ActionsTable } from '../../lib/rows/actions-table.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { PROCESSES_TABLE, ProcessesTable } from '../../lib/rows/processes-table.js'
import { RUNS_TABLE, RunsTable } from '../../lib/rows/runs-table.js'
import type { Runtime, RuntimeRedis } from '../../lib/timers/runtime.js'
import { SpanLinks } from '../../lib/tracing/span-links.js'
import { defineParcel, EVERY_SECOND, openParcels } from '../life/parcels.js'
import { blockOf, blocksOf, root } from '../support/book.js'
import { openDatabase } from '../support/database.js'
import { bury } from '../support/dead-letters.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, watched } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const KINDS = ['order_pay', 'order_confirm', 'order_confirm.reminder-2h', 'order_unshipped', 'order_other']
/** When a process beats: at once, in Postgres too. */
const SOON = { worker: 1_000, web: 1_000, doubting: 1_000, first: 0, firstRowOfWorker: 0, row: 0, quietStart: 30_000 }
const AN_HOUR_AGO = () => new Date(Date.now() - 3_600_000)
/** Our own tables, as a migration creates them. */
const OWN_TABLES = [
  ...History.createSql(HISTORY_TABLE),
  ...Brake.createSql(BRAKE_TABLE),
  ...ProcessesTable.createSql(PROCESSES_TABLE),
  ...ActionsTable.createSql(ACTIONS_TABLE),
  ...Holds.createSql(HOLDS_TABLE),
  ...RunsTable.createSql(RUNS_TABLE),
]
const ROLES = (schema: string) => ['web', 'worker'].map((role) => `CREATE ROLE ${schema}_${role} LOGIN PASSWORD '${role}'`).join(';\n')
const dropRoles = (schema: string) =>
  ['web', 'worker'].map((role) => `DROP OWNED BY ${schema}_${role}; DROP ROLE ${schema}_${role}`).join('; ')
const file = (path: string) => readFileSync(join(root, 'example/deploy', path), 'utf8')

const rulesOf = (sequelize: Sequelize, told: string[], failing: { now: boolean }) => {
  const Parcel = defineParcel(sequelize)
  const tell = (what: string) => async (orders: Model[]) => void told.push(...orders.map((order) => `${what} ${order.get('id')}`))
  return {
    order_confirm: transition(Parcel, {
      ...{ from: 4, to: 5, deadline: 'dueAt', after: '24h', backfill: { since: 'placedAt' }, pause: { keep: 'leftMs' } },
      ...{ maxExtensions: 2, extended: 'extended', history: true, brake: { max: 100, per: '1h' } },
      reminders: [{ before: '2h', run: tell('reminded') }],
      afterCommit: tell('settled'),
    }),
    order_pay: transition(Parcel, {
      ...{ from: 1, to: 0, since: 'placedAt', after: '15m', attempts: 2 },
      run: async (orders) => {
        if (failing.now) throw new Error('no stock')
        await tell('cancelled')(orders)
      },
    }),
    order_unshipped: transition(Parcel, { from: 2, to: 0, deadline: false, after: '24h' }),
    order_other: async ({ ids }: { ids: string[] }) => void told.push(...ids.map((id) => `other ${id}`)),
  }
}

const FORMS: Form[] = [
  { title: 'no prefix, db 0', file: 'users.acl', db: 0, prefix: '' },
  { title: 'a prefix, db 1', file: 'users-prefix.acl', db: 1, prefix: 'shop:' },
  { title: 'a keyPrefix and a prefix, db 1', file: 'users-prefix.acl', db: 1, prefix: 'eu:', keyPrefix: 'shop:' },
]

describe('web processes and workers with the rights in example/deploy', function () {
  this.timeout(120_000)
  let plays: Promise<void>[]

  before(() => {
    plays = FORMS.map(play)
    for (const one of plays) one.catch(() => {}) // awaited below
  })

  for (const [i, { title }] of FORMS.entries()) {
    it(`(${title}) may do all that they do, and are granted no command that they do not need`, () => plays[i])
  }

  it('play the main job: all seven orders end as promised', async () => {
    const server = await serverWith('users.acl')
    const database = await openDatabase()
    const { client, schema, url } = database
    const servers = (role: RedisRole) => ({
      databaseUrl: Object.assign(new URL(url), { username: `${schema}_${role}`, password: role }).href,
      redisUrl: `redis://shop-${role}:${role.toUpperCase()}_SECRET@127.0.0.1:${server.port}`,
    })
    await client.query(ROLES(schema))
    const said: string[] = []
    const status = await runMainJob(
      { DATABASE_URL: url, REDIS_URL: server.url, REDIS_IS_OURS: '1' },
      {
        ...{ web: servers('web'), worker: servers('worker') },
        say: (text) => said.push(text),
        async prepare(shopSchema) {
          const sql = [
            ...OWN_TABLES,
            file('postgres/grants.sql').replace('SCHEMA public', `SCHEMA ${shopSchema}`).replaceAll('shop_', `${schema}_`),
          ]
          await client.query([`SET search_path = ${shopSchema}`, ...sql, `SET search_path = ${schema}`].join(';\n'))
        },
      },
    )
    assert.equal(status, 0, said.join('\n'))
    await client.query(dropRoles(schema))
    await database.close()
    await server.stop()
  })

  it('are what lib/redis/rights.ts says, and what the pages show', () => {
    const places = { 'users.acl': { prefix: '', db: 0, kinds: KINDS }, 'users-prefix.acl': { prefix: 'shop:', db: 1, kinds: KINDS } }
    for (const [name, place] of Object.entries(places)) {
      const users = (['web', 'worker'] as const).map(
        (role) => `user shop-${role} on >${role.toUpperCase()}_SECRET ${aclRules(role, place)}`,
      )
      assert.deepEqual(file(`redis/${name}`).trimEnd().split('\n'), ['user default off', ...users])
    }
    const shown = blocksOf('docs/redis.md').filter(({ language }) => language === 'acl')
    const lines = file('redis/users.acl').trimEnd().split('\n').slice(1)
    assert.deepEqual(
      shown.map(({ text }) => text.trimEnd().split('\n')),
      [lines.map((line) => line.replace('user', 'ACL SETUSER'))],
    )
    assert.equal(blockOf('docs/deployment.md', 'grants.sql'), `-- grants.sql\n${file('postgres/grants.sql')}`)
  })
})

interface Form {
  title: string
  file: string
  db: number
  prefix: string
  keyPrefix?: string
}

/** A Redis with these users, and with one who may everything for the test itself. */
async function serverWith(name: string, names = 'shop:'): Promise<RedisServer> {
  const server = await RedisServer.prepare()
  const users = file(`redis/${name}`).replace('default off', 'default on nopass ~* &* +@all').replaceAll('shop:', names)
  await writeFile(join(server.directory, name), users)
  await server.restart(['--aclfile', join(server.directory, name)])
  return server
}

async function play({ file: name, db, prefix, keyPrefix = '' }: Form): Promise<void> {
  const server = await serverWith(name, `${keyPrefix}${prefix}`)
  const shop = await openParcels((Parcel) => ({ unused: transition(Parcel, { from: 1, to: 0, deadline: false }) }), {
    ...{ redis: `${server.url}/${db}`, redisUrl: `${server.url}/${db}`, prefix },
  })
  const admin = shop.redis.client
  const { client, schema, url, connectSequelize } = shop.database
  await client.query([...OWN_TABLES, ROLES(schema), grantsFor(schema)].join(';\n'))
  const told: string[] = []
  const failing = { now: true }
  const timersOf = (role: RedisRole) => {
    const { sequelize } = connectSequelize({ url: Object.assign(new URL(url), { username: `${schema}_${role}`, password: role }).href })
    const user = `shop-${role}:${role.toUpperCase()}_SECRET`
    const redis = `redis://${user}@127.0.0.1:${server.port}/${db}${keyPrefix && `?keyPrefix=${keyPrefix}`}`
    return { timers: makeTimers(rulesOf(sequelize, told, failing), { redis, prefix }), sequelize }
  }
  const hasRow = async (role: RedisRole) =>
    (await client.query(`SELECT 1 FROM ${PROCESSES_TABLE} WHERE role = $1 AND redis_data IS NOT NULL`, [role])).rowCount

  const [due, moved, paused, overdue] = [await shop.parcel(), await shop.parcel(), await shop.parcel(), await shop.parcel(-1_000)]
  const [shipped, unpaid] = [await shop.parcel(null, { status: 2 }), await shop.parcel(null, { status: 1, placedAt: AN_HOUR_AGO() })]
  const keys = new Keys(`${keyPrefix}${prefix}`)
  const discarded = await shop.parcel(3_600_000)
  await bury(admin, keys.sets('order_pay').failures, [unpaid])
  await bury(admin, keys.sets('order_confirm').failures, [discarded])
  const retried = { attempts: 1, error: 'no stock', at: new Date().toISOString(), dead: false }
  await admin.hset(keys.sets('order_confirm').failures, '77', JSON.stringify(retried))

  const web = timersOf('web')
  Reflect.set(runtimeOf(web.timers).beats as object, 'times', { ...SOON, web: 300, doubting: 300 })
  const { timers } = web
  await admin.call('CONFIG', 'RESETSTAT')
  await timers.schedule('order_confirm', due, { after: '1h' })
  await waitUntil(() => timers.health().redis?.connected && timers.health().redis?.kept === 0, { what: 'the first timer to be armed' })
  await timers.schedule('order_confirm', moved, { after: '1h' })
  await timers.schedule('order_confirm', paused, { after: '1h' })
  await timers.extend('order_confirm', moved, '30m')
  await timers.pause('order_confirm', moved)
  await timers.resume('order_confirm', moved)
  await timers.pause('order_confirm', paused)
  await timers.schedule('order_pay', await shop.parcel(null, { status: 1 }))
  assert.equal((await timers.list(moved)).length, 1)
  await timers.schedule('order_unshipped', shipped, { after: '1h' })
  await timers.extend('order_unshipped', shipped, '1h')
  assert.ok(Number(await timers.remaining('order_unshipped', shipped)) > 3_600_000)
  await timers.remaining('order_unshipped', [shipped, 77])
  await timers.cancel('order_unshipped', shipped)
  await timers.schedule('order_other', 7, { after: '1h' })
  assert.equal((await timers.dead()).length, 2)
  await timers.retry('order_pay', unpaid)
  assert.equal(await timers.release('order_confirm'), false)
  const acts = async (action: ActName, kind: string, id: number, by?: string) => {
    const { orders } = await act(runtimeOf(timers), { action, kind, orders: [{ id }], ...(by && { by }) }, { user: 'mei', via: 'page' })
    assert.deepEqual([action, orders.map(({ outcome }) => outcome)], [action, ['done']])
  }
  const acted = await shop.parcel(3_600_000)
  await acts('extend', 'order_confirm', acted, '1h')
  await acts('pause', 'order_confirm', acted)
  await acts('resume', 'order_confirm', acted)
  await acts('settle', 'order_confirm', acted)
  await acts('cancel', 'order_confirm', acted)
  await acts('discard', 'order_confirm', discarded)
  const page = new Answers(runtimeOf(timers), parseAdminOptions({ authorize: () => false }))
  const onRule = (action: string, more: object) => page.act(parseWish({ action, kind: 'order_confirm', reason: 'a test', ...more }), 'mei')
  await onRule('hold', {})
  const standing = () => runtimeOf(timers).rule('order_confirm').row?.holds.standing()
  const [hold] = (await standing()) ?? []
  assert.equal(hold?.by, 'mei')
  // Deadlines of reminders that were told are in the history, which a web process may not write: nothing of it is begun.
  await assert.rejects(timers.release('order_confirm', { shift: true }), {
    code: 'ERR_ORDER_TIMERS_INVALID_MODEL',
    message:
      /permission denied for table order_timers_history\); nothing was released; release it on the admin page or with `order-timers release`/,
  })
  assert.deepEqual(
    (await standing())?.map(({ state }) => state),
    ['held'],
  )
  await onRule('release', { heldSince: Math.trunc(hold?.since ?? 0) })
  assert.deepEqual(await standing(), [])
  await client.query(`REVOKE UPDATE ("dueAt") ON parcels FROM ${schema}_web`)
  await assert.rejects(timers.extendAll('order_confirm', { by: '1h', all: true }), { code: 'ERR_ORDER_TIMERS_INVALID_MODEL' })
  assert.deepEqual(await standing(), [])
  await client.query(`GRANT UPDATE ("dueAt") ON parcels TO ${schema}_web`)
  await runtimeOf(timers).redis?.connection.refusals.probe?.()
  const { connection } = runtimeOf(timers).redis as RuntimeRedis
  await new SpanLinks(connection, keys).note('order_confirm', String(moved), Date.now(), { traceId: '1', spanId: '2' })
  await waitUntil(() => hasRow('web'), { what: 'the row of the web process' })
  await looksAtAll(timers, acted)
  assert.deepEqual(timers.health().faults, [])
  assert.equal(await rightsFound(timers, 'web'), 'fine')
  await timers.close()
  await web.sequelize.close()
  await assertNeeded(admin, 'web')

  const { timers: its, sequelize } = timersOf('worker')
  Reflect.set(runtimeOf(its).beats as object, 'times', SOON)
  await its.check()
  const worker = watched(startExpiryWorker(its, EVERY_SECOND))
  await worker.ready
  await its.schedule('order_confirm', due, { after: 200 })
  await admin.set(keys.timer('order_unshipped', String(await shop.parcel(null, { status: 2 }))), '1', 'PX', 100)
  await waitUntil(() => worker.deadTold.length === 1, { within: 30_000, what: 'a dead letter' })
  failing.now = false
  await its.retry('order_pay', unpaid)
  const expected = [`settled ${due}`, `settled ${overdue}`, `reminded ${moved}`, `cancelled ${unpaid}`]
  await waitUntil(() => expected.every((one) => told.includes(one)), { what: expected.join(', ') })
  await waitUntil(() => worker.settled.some(({ kind, via }) => kind === 'order_unshipped' && via === 'event'))
  await waitUntil(() => worker.health().redis?.events && (worker.health().redis?.externalScans ?? 0) > 0)
  await waitUntil(() => hasRow('worker'), { what: "the worker's row" })
  // What failed is tried again in its own time, and is told until then.
  await waitUntil(async () => (await status(runtimeOf(its))).ok, { within: 60_000, what: 'nothing to tell' })
  const { redis, processes } = await status(runtimeOf(its))
  assert.deepEqual([redis.answering, processes.redis, processes.postgres], [true, 'read', 'read'])
  assert.deepEqual(worker.faultsTold, [])
  assert.equal(await rightsFound(its, 'worker'), 'fine')
  await commandsOf(runtimeOf(its), moved)
  await worker.stop()
  await its.close()
  await sequelize.close()
  await assertNeeded(admin, 'worker')
  const refused = (await admin.call('ACL', 'LOG')) as string[][]
  assert.deepEqual(refused, [])

  await client.query(dropRoles(schema))
  await shop.close()
  await server.stop()
}

/** The commands that are run beside the workers, as their user. */
async function commandsOf(runtime: Runtime, pending: number): Promise<void> {
  const end = await watch(runtime, { onNote() {}, onLost() {}, onTrouble: assert.fail })
  await end()
  const { orders } = await listOrders(runtime, 'order_confirm', { state: 'pending', limit: 100, after: undefined })
  assert.ok(orders.some(({ id }) => id === String(pending)))
  const { rules } = await rearmAct(runtime, { kind: 'order_confirm' }, { user: 'mei', via: 'command' })
  assert.ok(rules.some(({ kind, read }) => kind === 'order_confirm' && read > 0))
}

function grantsFor(schema: string): string {
  return file('postgres/grants.sql')
    .replaceAll('SCHEMA public', `SCHEMA ${schema}`)
    .replaceAll(' orders ', ' parcels ')
    .replaceAll('orders_id_seq', 'parcels_id_seq')
    .replaceAll('UPDATE ("confirmDueAt")', 'UPDATE ("dueAt", left_ms, extended)')
    .replaceAll('UPDATE (status, "confirmDueAt", "updatedAt")', 'UPDATE (status, "dueAt", left_ms, extended)')
    .replaceAll('UPDATE (status, "updatedAt")', 'UPDATE (status)')
    .replaceAll('shop_', `${schema}_`)
}

/** Each screen of the admin page, and what health and metrics ask the servers: nothing is left out for want of a right. */
async function looksAtAll(timers: object, order: number): Promise<void> {
  const answers = new Answers(
    runtimeOf(timers),
    parseAdminOptions({ authorize: () => false, show: (one) => ({ status: String(one.get('status')) }) }),
  )
  const kinds = runtimeOf(timers).kinds.map((kind) => `kind=${kind}`)
  const screens = ['now', 'due', 'late', 'processes', 'actions', ...[order, 7].map((id) => `order?id=${id}`)]
  for (const state of STUCK_STATES) for (const kind of kinds) screens.push(`stuck?${kind}&state=${state}`)
  for (const screen of screens) {
    const [name = '', query] = screen.split('?')
    const text = JSON.stringify(await answers.data(name, new URLSearchParams(query)))
    assert.doesNotMatch(text, /"(problem|redisProblem)":"|"problems":\[\{|may not|permission|NOPERM/, `${screen}: ${text}`)
  }
  await waitUntil(async () => (await answers.recording()) === 'ready', { what: 'acts to be recordable' })
  const { checks } = await orderTimersHealth(timers as never).ready()
  assert.deepEqual([checks.postgres?.reading, checks.redis?.reading, checks.dead?.reading], ['ok', 'ok', 'ok'])
  const counting = new Counting(runtimeOf(timers))
  await counting.count()
  assert.deepEqual([...counting.orders.keys()], ['order_confirm', 'order_pay'])
}

/** What the doctor says of this user's rights. */
async function rightsFound(timers: object, role: RedisRole): Promise<unknown> {
  const subject = await subjectOf(runtimeOf(timers), { directory: root, role })
  const [finding] = await redisRights.look(subject)
  return finding?.verdict === 'fine' ? 'fine' : finding
}

/**
 * Redis counts each command that it has carried out, also within scripts. `ping` is for a Redis that is busy, `select` for other dbs than 0, and
 * `smismember` asks what was claimed or settled a moment ago, which on a busy machine is over.
 */
async function assertNeeded(admin: Redis, role: RedisRole): Promise<void> {
  const stats = await admin.info('commandstats')
  const used = [...stats.matchAll(/^cmdstat_([^:]+):/gm)].map(([, name]) => name)
  const idle = REDIS_COMMANDS[role].filter((command) => !used.includes(command) && !['ping', 'select', 'smismember'].includes(command))
  assert.deepEqual(idle, [], `granted to ${role}, and not used`)
}
