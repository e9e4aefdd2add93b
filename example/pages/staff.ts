// What the staff does: ship, settle disputes, look at how the shop stands.

import { Order, PAID, SHIPPED } from '../models.js'
import { catchingRouter } from '../router.js'
import { signIn, signOut, staffOnly } from '../visitor.js'
import { html } from './html.js'
import { layout } from './layout.js'
import { orderCards } from './order.js'

/** It is a demo's, and its page says it. */
const PASSWORD = 'tea'

export const staffPages = catchingRouter()

staffPages.get('/sign-in', (_req, res) => {
  res.send(signInPage(res.locals.visitor))
})

staffPages.post('/sign-in', (req, res) => {
  if ((req.body as { password?: string }).password !== PASSWORD) return res.status(403).send(signInPage(res.locals.visitor, true))
  signIn(res)
  res.redirect(303, '/staff')
})

staffPages.use(staffOnly)

staffPages.post('/sign-out', (req, res) => {
  signOut(req, res)
  res.redirect(303, '/')
})

staffPages.get('/', async (_req, res) => {
  const { visitor } = res.locals
  const orders = await Order.findAll({ where: { status: PAID }, order: [['id', 'ASC']], limit: 50 })
  const main = orders.length === 0 ? html`<p>${visitor.words.empty}</p>` : await orderCards(visitor, orders, ['ship'])
  res.send(layout(visitor, { title: visitor.words.nav.ship, path: '/staff', main }))
})

staffPages.get('/disputes', async (_req, res) => {
  const { visitor } = res.locals
  const orders = await Order.findAll({ where: { status: SHIPPED, disputeOpen: true }, order: [['id', 'ASC']], limit: 50 })
  const main = orders.length === 0 ? html`<p>${visitor.words.empty}</p>` : await orderCards(visitor, orders, ['close'])
  res.send(layout(visitor, { title: visitor.words.nav.disputes, path: '/staff/disputes', main }))
})

staffPages.get('/overview', async (_req, res) => {
  const { visitor } = res.locals
  const { words } = visitor
  const counts = await Order.count({ group: ['status'] })
  const rows = counts.map(({ status, count }) => html`<tr><th scope="row">${words.status[Number(status)]}</th><td>${count}</td></tr>`)
  const main = html`<div class="card"><table><thead><tr><th scope="col">${words.stands}</th><th scope="col">${words.count}</th></tr></thead><tbody>${rows}</tbody></table></div>
<form method="post" action="/staff/sign-out"><button>${words.signOut}</button></form>`
  res.send(layout(visitor, { title: words.nav.overview, path: '/staff/overview', main }))
})

function signInPage(visitor: Parameters<typeof layout>[0], isWrong = false): string {
  const { words } = visitor
  const main = html`<form class="card sign-in" method="post" action="/staff/sign-in">
<label for="password">${words.password}</label><input id="password" name="password" type="password" autocomplete="current-password" required>
<button class="primary">${words.signIn}</button>
<p>${words.hint}</p>${isWrong && html`<p role="alert">${words.wrong}</p>`}</form>`
  return layout(visitor, { title: words.nav.staff, path: '/staff/sign-in', main })
}
