// What a buyer does: choose, check out, and look after his orders.

import type { Request, Response } from 'express'
import { HttpError } from '../http-error.js'
import { Order, PAID, PLACED, SHIPPED } from '../models.js'
import { closeDispute, confirm, extend, openDispute, pay, place, ship } from '../orders.js'
import { catchingRouter } from '../router.js'
import { basketOf, buyerOf, isStaff } from '../visitor.js'
import { html, type Markup } from './html.js'
import { layout } from './layout.js'
import { orderCard, orderCards } from './order.js'
import { settledOf } from './settled.js'
import { TEAS, type Tea, teaNamed } from './teas.js'

export const buyerPages = catchingRouter()

buyerPages.get('/', (req, res) => {
  const { words } = res.locals.visitor
  const main = html`<p class="slogan">${words.slogan}</p><ul class="teas">${TEAS.map(
    (
      tea,
    ) => html`<li class="card"><svg class="cup" viewBox="0 0 120 80" aria-hidden="true"><path d="M14 24h76v10a38 38 0 0 1-76 0z" fill="currentColor" opacity=".14"/><ellipse cx="52" cy="26" rx="34" ry="7" fill="${tea.colour}"/><path d="M90 28c16-4 20 18-4 20" fill="none" stroke="currentColor" stroke-width="4" opacity=".3"/></svg>
<h2>${nameOf(tea, res)}</h2><p class="price">${tea.grams} g · NT$${tea.price}</p>
<form method="post" action="/basket"><input type="hidden" name="add" value="${tea.id}"><button aria-label="${words.add}: ${nameOf(tea, res)}">${words.add}</button></form></li>`,
  )}</ul>`
  show(req, res, words.nav.tea, main)
})

buyerPages.get('/basket', (req, res) => {
  const { words } = res.locals.visitor
  const teas = basketOf(req)
  if (teas.length === 0) return show(req, res, words.nav.basket, nothingYet(res))
  const rows = teas.map(
    (tea, index) => html`<li><span>${nameOf(tea, res)}</span><span class="price">NT$${tea.price}</span>
<form method="post" action="/basket"><input type="hidden" name="remove" value="${index}"><button aria-label="${words.remove}: ${nameOf(tea, res)}">${words.remove}</button></form></li>`,
  )
  const main = html`<div class="card"><ul class="lines">${rows}</ul><p class="sum">${words.total} <strong>NT$${totalOf(teas)}</strong></p>
<form method="post" action="/checkout"><button class="primary">${words.checkout}</button></form></div>`
  show(req, res, words.nav.basket, main)
})

buyerPages.post('/basket', (req, res) => {
  const { add, remove } = req.body as { add?: string; remove?: string }
  const ids = basketOf(req).map(({ id }) => id as string)
  if (teaNamed(add) && ids.length < 20) ids.push(add as string)
  if (remove !== undefined) ids.splice(Number(remove), 1)
  res.cookie('basket', ids.join('.'), { httpOnly: true, sameSite: 'lax' }).redirect(303, add ? '/' : '/basket')
})

buyerPages.post('/checkout', async (req, res) => {
  const teas = basketOf(req)
  if (teas.length === 0) return res.redirect(303, '/basket')
  const order = await place(
    res.locals.visitor.buyer,
    teas
      .map((tea) => nameOf(tea, res))
      .join(', ')
      .slice(0, 200),
    totalOf(teas),
  )
  res.clearCookie('basket').redirect(303, `/orders/${order.id}`)
})

buyerPages.get('/orders', async (req, res) => {
  const { visitor } = res.locals
  const orders = await Order.findAll({ where: { buyer: visitor.buyer }, order: [['id', 'DESC']], limit: 50 })
  const main = orders.length === 0 ? nothingYet(res) : await orderCards(visitor, orders)
  show(req, res, visitor.words.nav.orders, main)
})

buyerPages.get('/orders/:id', async (req, res) => {
  const { visitor } = res.locals
  const order = await orderFor(req)
  const title = `${visitor.words.order} ${order.id}`
  const settled = (await settledOf([order])).get(order.id)
  const main = html`${orderCard(visitor, order, actionsOn(order, isStaff(req)), settled)}<p><a href="/orders">${visitor.words.all}</a></p>`
  show(req, res, title, main)
})

buyerPages.post('/orders/:id/:action', async (req, res) => {
  const order = await orderFor(req)
  const byStaff = isStaff(req)
  const acts: Record<string, () => Promise<void>> = {
    pay: () => pay(order, 'buyer'),
    confirm: () => confirm(order),
    extend: () => extend(order, '30s'),
    open: () => openDispute(order),
    ...(byStaff && { ship: () => ship(order), close: () => closeDispute(order) }),
  }
  const act = Object.hasOwn(acts, req.params.action) ? acts[req.params.action] : undefined
  if (!act) throw new HttpError(404, 'not-found')
  await act()
  res.redirect(303, req.get('referer')?.includes('/staff') ? '/staff' : `/orders/${order.id}`)
})

/** His own order; staff sees all. Somebody else's is one that does not exist. */
async function orderFor(req: Request): Promise<Order> {
  const id = String(req.params.id)
  const order = /^\d{1,9}$/.test(id) ? await Order.findByPk(id) : null
  if (order && (isStaff(req) || order.buyer === buyerOf(req))) return order
  throw new HttpError(404, 'not-found')
}

function actionsOn({ status, disputeOpen }: Order, byStaff: boolean): string[] {
  if (status === PLACED) return ['pay']
  if (status === PAID && byStaff) return ['ship']
  if (status !== SHIPPED) return []
  return disputeOpen ? (byStaff ? ['close'] : []) : ['confirm', 'extend', 'open']
}

function totalOf(teas: Tea[]): number {
  return teas.reduce((sum, { price }) => sum + price, 0)
}

function nameOf(tea: Tea, res: Response): string {
  return res.locals.visitor.language === 'en' ? tea.en : tea.zh
}

function nothingYet(res: Response): Markup {
  const { words } = res.locals.visitor
  return html`<p>${words.empty} <a href="/">${words.choose}</a></p>`
}

function show(req: Request, res: Response, title: string, main: Parameters<typeof layout>[1]['main']): void {
  res.send(layout(res.locals.visitor, { title, path: req.path, main }))
}
