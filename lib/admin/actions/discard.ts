// Drops a dead letter whose deadline is on the row. The deadline is removed first: as long as it exists, every sweep finds the order.

import { errorText } from '../../error-text.js'
import type { Runtime } from '../../timers/runtime.js'
import { type Acted, type ActedOrder, actedOn, countDone, refusedOrder } from './acted.js'
import { connectedRedis, NOT_TAKEN, notDead, REDIS_WAIT_MS } from './redis-act.js'
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
  const kept = ended.length === 0 ? undefined : await failures.discard(kind, ended, REDIS_WAIT_MS).then(() => undefined, errorText)
  if (kept !== undefined) acted.orders = acted.orders.map((order) => (order.outcome === 'done' ? letterKept(kind, order, kept) : order))
  const byId = new Map([...others, ...acted.orders].map((order) => [order.id, order]))
  const orders = ids.flatMap((id) => byId.get(id) ?? [])
  return { ...acted, count: countDone(orders), orders }
}

/** The row has no deadline any more, so nothing tries the order again; the letter is still listed. */
function letterKept(kind: string, order: ActedOrder, why: string): ActedOrder {
  const text = `${kind}: order ${order.id} is not tried again, but Redis did not drop its dead letter (${why.replace(/^orderTimers: /, '')}); discard it again`
  return { ...order, outcome: 'failed', code: NOT_TAKEN, why: text }
}
