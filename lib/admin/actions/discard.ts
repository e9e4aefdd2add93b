// Ends a dead letter for good where its deadline is on the row. The deadline is taken away first: while it is there, every sweep would find the order.

import type { Runtime } from '../../timers/runtime.js'
import { type Acted, actedOn, refusedOrder } from './acted.js'
import { connectedRedis, notDead, REDIS_WAIT_MS } from './redis-act.js'
import type { Actor, ParsedAct } from './request.js'
import { actOnRows, type OnRows } from './row-act.js'

/** @throws OrderTimersError as `actOnRows`, and REDIS_UNAVAILABLE */
export async function discardDead(runtime: Runtime, rule: OnRows, act: ParsedAct, actor: Actor): Promise<Acted> {
  const { kind } = rule
  const ids = [...act.shown.keys()]
  const { failures } = await connectedRedis(runtime, kind)
  const found = await failures.of(kind, ids)
  const dead = new Map([...act.shown].filter(([id]) => found.get(id)?.dead))
  const others = ids.filter((id) => !dead.has(id)).map((id) => refusedOrder(id, notDead(kind, id, found.get(id)?.attempts)))
  if (dead.size === 0) return actedOn(act.action, kind, null, others)
  const acted = await actOnRows(runtime, rule, { ...act, shown: dead }, actor)
  const ended = acted.orders.filter(({ outcome }) => outcome === 'done').map(({ id }) => id)
  if (ended.length > 0) await failures.discard(kind, ended, REDIS_WAIT_MS).catch(() => {}) // the row decides: it has no deadline any more
  const byId = new Map([...others, ...acted.orders].map((order) => [order.id, order]))
  return { ...acted, orders: ids.flatMap((id) => byId.get(id) ?? []) }
}
