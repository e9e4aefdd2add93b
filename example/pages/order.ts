// One order as the buyer and the staff see it: its status, its countdown, what can be done, and what has happened.

import { type Order, PLACED, SHIPPED } from '../models.js'
import type { Visitor } from '../visitor.js'
import { html, type Markup } from './html.js'
import { type Settled, settledOf } from './settled.js'
import type { Words } from './words.js'

const KINDS: Record<number, string> = { [PLACED]: 'order_pay', [SHIPPED]: 'order_confirm' }

/** @param settled by a deadline, if one did */
export function orderCard({ words }: Visitor, order: Order, actions: string[], settled?: Settled): Markup {
  return html`<article class="card order" aria-labelledby="order-${order.id}">
<h2 id="order-${order.id}"><a href="/orders/${order.id}">${words.order} ${order.id}</a> <span class="status s${order.status}">${words.status[order.status]}</span></h2>
<p class="items">${order.items} <span class="price">NT$${order.total}</span></p>
${countdownOf(words, order)}
${history(words, order, settled)}
${actions.length > 0 && html`<div class="actions">${actions.map((action) => button(words, order, action))}</div>`}
</article>`
}

/** Orders in a list, each with what can be done to it there. */
export async function orderCards(visitor: Visitor, orders: readonly Order[], actions: string[] = []): Promise<Markup[]> {
  const settled = await settledOf(orders)
  return orders.map((order) => orderCard(visitor, order, actions, settled.get(order.id)))
}

/** As its row has it; the staff can pause a timer, or remove it, without a dispute. */
function standing({ status, confirmDueAt, confirmLeftMs }: Order): 'running' | 'paused' | 'ended' {
  if (status === SHIPPED && confirmLeftMs !== null) return 'paused'
  return status === SHIPPED && confirmDueAt === null ? 'ended' : 'running'
}

/** `was` is how it stood when the page was made: /shop.js loads the page again when that changes. */
function countdownOf(words: Words, order: Order): Markup | false {
  const kind = KINDS[order.status]
  if (kind === undefined) return false
  const texts = Object.entries({ ...words.countdown[kind], ...(order.disputeOpen && { paused: words.disputed }) })
  const attributes = texts.map(([state, text]) => html` ${state}="${text}"`)
  return html`<p class="next"><order-countdown kind="${kind}" order="${order.id}" was="${standing(order)}" ended=""${attributes}>…</order-countdown>
<span class="wrong" role="alert" hidden>${words.nobody}</span></p>`
}

function history(words: Words, order: Order, settled: Settled | undefined): Markup | false {
  const end = words.ended[order.status]
  if (settled && end) {
    return html`<dl class="happened"><dt>${words.how}</dt><dd>${end}</dd><dt>${words.deadline}</dt><dd>${instant(settled.deadline)}</dd>
<dt>${words.when}</dt><dd>${instant(settled.settled_at)}: ${words.late(settled.lateness_ms.toFixed(1), settled.via)}</dd></dl>`
  }
  const moved = order.movedBy && words.moved[order.status]
  if (!moved) return false
  const when = KINDS[order.status] === undefined && html`<dt>${words.when}</dt><dd>${instant(order.updatedAt)}</dd>` // nothing was written since
  return html`<dl class="happened"><dt>${words.how}</dt><dd>${words.byHand(moved, order.movedBy as string)}</dd>${when}</dl>`
}

function button(words: Words, { id }: Order, action: string): Markup {
  const text = words[action as 'pay']
  const first = action === 'pay' || action === 'ship' || action === 'confirm' || action === 'close'
  return html`<form method="post" action="/orders/${id}/${action}"><button${first ? html` class="primary"` : ''}>${text}</button></form>`
}

function instant(at: Date): Markup {
  return html`<time datetime="${at.toISOString()}">${at.toISOString().slice(11, 23)} UTC</time>`
}
