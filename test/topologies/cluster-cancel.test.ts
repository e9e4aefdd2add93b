// Timers that a Redis Cluster alone has, and whose own keys are on a node that hangs: what was cancelled is not carried out, and what could not be
// cancelled is refused.

import assert from 'node:assert/strict'
import { transition } from '../../lib/index.js'
import { Keys } from '../../lib/keys.js'
import { slotOf } from '../../lib/slots.js'
import type { RuntimeRedis } from '../../lib/timers/runtime.js'
import { untilArmed } from '../support/armed.js'
import type { Database } from '../support/database.js'
import { type ClusterNode, RedisCluster, type Slots } from '../support/redis-cluster.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const KIND = 'order_ship'
const HOUR_MS = 3_600_000
/** Longer than a node may be silent before its connection is given up. */
const WAIT_MS = 5_000
const UNAVAILABLE = 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE'

/** On a busy machine a call that was refused for lateness may have been carried out. */
const isGone = ({ code }: { code?: string }) => code === 'ERR_ORDER_TIMERS_NO_TIMER'

const shipping = ({ Order }: Database) => ({ [KIND]: transition(Order, { from: 2, to: 0, deadline: false }) })

describe('A timer that a cluster alone has, whose key is on a node that hangs,', function () {
  this.timeout(120_000)
  let cluster: RedisCluster
  let hung: ClusterNode
  let slots: Slots[]

  beforeEach(async () => {
    cluster = await RedisCluster.start()
    hung = (await cluster.primaries())[1] as ClusterNode
    slots = await cluster.slotsOf(hung)
  })
  afterEach(() => cluster.stop())

  const open = async () => {
    const shop = await openShop(shipping, { redis: { nodes: cluster.addresses } })
    await shop.timers.check()
    const keys = new Keys(shop.redis.prefix, true)
    const isOnHung = (name: string) => slots.some(([first, last]) => first <= slotOf(name) && slotOf(name) <= last)
    const hasKeyThere = (id: number) => isOnHung(shop.key(`${KIND}:${id}`)) && !isOnHung(keys.sets(KIND, keys.partitionOf(String(id))).due)
    /** Orders whose keys are on that node, and whose entries in the index are not. */
    const orders = async (count: number) => {
      const all = await shop.database.Order.bulkCreate(Array.from({ length: 20 * count }, () => ({ status: 2 })))
      return all
        .map(({ id }) => id)
        .filter(hasKeyThere)
        .slice(0, count)
    }
    const ended = async () => (await shop.database.Order.unscoped().findAll({ where: { status: 0 } })).map(({ id }) => id).sort()
    const exists = (name: string) => runtimeOf(shop.timers).redis?.connection.client.exists(name)
    /** As another service does. */
    const setThere = async (id: number) => {
      await hung.client.set(shop.key(`${KIND}:${id}`), '1', 'PX', HOUR_MS)
      await hung.client.wait(1, 2_000)
    }
    return { shop, orders, ended, exists, setThere }
  }

  it('is cancelled or stays: a refused call can be made again once a replica has taken over, and what is cancelled then is not carried out', async () => {
    const { shop, orders, ended } = await open()
    const { timers } = shop
    const ids = await orders(6)
    const dueAt = Date.now() + 25_000
    for (const id of ids) await untilArmed(() => timers.schedule(KIND, id, { at: new Date(dueAt) }))
    hung.server.pause()
    const cancelled = ids.slice(0, 3)
    const failed = await Promise.all(ids.slice(0, 5).map((id) => refused(() => timers.cancel(KIND, id))))
    for (const { code } of failed) assert.equal(code, UNAVAILABLE)
    await cluster.freezePrimary(hung)
    for (const id of ids) assert.ok((await waitUntil(() => timers.remaining(KIND, id)))! > 0)
    for (const id of cancelled) await waitUntil(() => timers.cancel(KIND, id).then(() => true, isGone))
    for (const id of cancelled) assert.equal(await timers.remaining(KIND, id), null)
    await cluster.thaw(hung)
    assert.ok(Date.now() < dueAt, 'all this was before the deadline')
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().redis?.events && worker.health().status === 'ok', { within: 30_000 })
    // one more, due after all the others: what comes of them has come by then
    const last = (await orders(1))[0] as number
    await timers.schedule(KIND, last, { at: new Date(Math.max(dueAt, Date.now()) + 3_000) })
    await waitUntil(async () => (await ended()).includes(last), { within: 40_000 })
    assert.deepEqual(await ended(), [...ids.slice(3), last].sort())
    await shop.close()
  })

  it('and that another service set is never said to be missing', async () => {
    const { shop, orders, exists, setThere } = await open()
    const [id] = (await orders(1)) as [number]
    await setThere(id)
    hung.server.pause()
    assert.equal((await refused(() => shop.timers.cancel(KIND, id))).code, UNAVAILABLE)
    hung.server.resume()
    await waitUntil(() => shop.timers.cancel(KIND, id).then(() => true, isGone))
    assert.equal(await exists(shop.key(`${KIND}:${id}`)), 0)
    await shop.close()
  })

  it('is made due now with its key gone, or not at all', async () => {
    const { shop, orders, exists, setThere } = await open()
    const { index } = runtimeOf(shop.timers).redis as RuntimeRedis
    const [id, external] = (await orders(2)) as [number, number]
    const { deadline } = await shop.timers.schedule(KIND, id, { after: HOUR_MS })
    await setThere(external)
    const makeDue = (one: number) => index.postponeFrom(undefined, KIND, String(one), 'now', WAIT_MS)
    hung.server.pause()
    // both at once: later ones would be answered by the replica that takes over
    for (const { code } of await Promise.all([id, external].map((one) => refused(() => makeDue(one))))) assert.equal(code, UNAVAILABLE)
    // while the cluster promotes a replica it closes connections
    const answered = <T>(ask: () => Promise<T>) => waitUntil(() => ask().catch(() => undefined), { within: 30_000 })
    const armed = await answered(() => index.armed(KIND, [String(id), String(external)], WAIT_MS))
    assert.deepEqual(armed, new Map([[String(id), deadline!.getTime()]]))
    hung.server.resume()
    for (const one of [id, external]) {
      const { before, after } = (await answered(() => makeDue(one)))!
      assert.ok(before - after! > HOUR_MS / 2)
      assert.equal(await exists(shop.key(`${KIND}:${one}`)), 0)
    }
    await shop.close()
  })
})
