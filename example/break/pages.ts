// The page on which a visitor breaks things, with the code behind each button, and the figures that go on beside.

import { readFileSync } from 'node:fs'
import { Router } from 'express'
import { Order } from '../models.js'
import { place } from '../orders.js'
import { html } from '../pages/html.js'
import { layout } from '../pages/layout.js'
import { orderCards } from '../pages/order.js'
import { TEAS } from '../pages/teas.js'
import { timers } from '../timers.js'
import type { ShopWorker } from '../workers.js'
import type { Breaks } from './breaks.js'
import { readFigures } from './figures.js'
import type { OldRecipe } from './old-recipe.js'
import { BREAK_WORDS } from './words.js'

const BREAKS = ['flush', 'cut', 'stop', 'start', 'kill', 'rush', 'foreign', 'webhook', 'hold', 'release'] as const

type Break = (typeof BREAKS)[number]

/** Of the visitor's own orders, the latest. */
const SHOWN = 3

export function breakPages(breaks: Breaks, worker: ShopWorker, oldRecipe: OldRecipe): Router {
  const router = Router()
  const codes = codesOf(BREAKS)

  router.get('/', async (req, res) => {
    const { visitor } = res.locals
    const words = BREAK_WORDS[visitor.language]
    const orders = await Order.findAll({ where: { buyer: visitor.buyer }, order: [['id', 'DESC']], limit: SHOWN })
    const { did, n } = req.query
    const buttons = BREAKS.map((name) => {
      const [text, what] = words.breaks[name] as [string, string]
      const cannot = name === 'kill' && !worker.kill
      return html`<li class="card"><h2>${text}</h2><p>${what}${cannot && ` ${words.onlySeparate}`}</p>
<form method="post" action="/break/${name}" data-break><button aria-label="${words.doIt}: ${text}"${cannot && html` disabled`}>${words.doIt}</button></form>
<p class="outcome" role="status">${did === name && outcomeOf(words, name, Number(n))}</p>
<details><summary>${words.code}<span class="unseen">: ${text}</span></summary><pre tabindex="0"><code>${codes[name]}</code></pre></details></li>`
    })
    const figures = ['settled', 'median', 'latest', 'via', 'overdue', 'lost', 'early', 'twice'] as const
    const old = ['done', 'latest', 'overdue', 'twice'] as const
    const main = html`<p class="slogan">${words.about}</p>
<section class="strip now card" aria-labelledby="now"><h2 id="now">${words.now} <span id="worker" class="status" data-on="${words.workerOn}" data-off="${words.workerOff}"></span></h2>
<p id="fault" role="status"></p>
<dl id="figures">${figures.map((name) => html`<div><dt>${words.figures[name]}</dt><dd data-figure="${name}">–</dd></div>`)}</dl></section>
<section class="strip card old" aria-labelledby="old"><div class="head"><h2 id="old">${words.old} <span id="listening" class="status" data-0="${words.listening[0]}" data-1="${words.listening[1]}" data-2="${words.listening[2]}"></span></h2>
<div class="actions">${[1, 2, 0].map((count) => html`<form method="post" action="/break/old/${count}" data-break><button>${words.listeners[count]}</button></form>`)}</div></div><p>${words.oldAbout}</p>
<dl id="old-figures">${old.map((name) => html`<div><dt>${words.oldFigures[name]}</dt><dd data-figure="${name}">–</dd></div>`)}</dl></section>
<section data-again aria-labelledby="yours"><form class="head" method="post" action="/break/place" data-break><h2 id="yours">${words.yours}</h2>
<button class="primary">${words.place}</button></form>
<div class="yours">${await orderCards(visitor, orders)}</div></section>
<ul class="breaks">${buttons}</ul>`
    res.send(layout(visitor, { title: visitor.words.nav.break, path: '/break', main }))
  })

  router.get('/figures', async (_req, res) => {
    const [now, old] = await Promise.all([readFigures(), oldRecipe.figures()])
    const faults = timers.health().faults.map(({ code }) => code)
    res.set('Cache-Control', 'no-store').json({ now, old, faults, worker: worker.runsSince !== undefined, listening: oldRecipe.listening })
  })

  router.post('/old/:count', async (req, res) => {
    await oldRecipe.listen(Math.min(2, Number(req.params.count) || 0))
    res.redirect(303, '/break')
  })

  router.post('/place', async (_req, res) => {
    const { buyer, language } = res.locals.visitor
    const [{ price, en, zh }] = TEAS
    await place(buyer, language === 'en' ? en : zh, price)
    res.redirect(303, '/break')
  })

  router.post('/:name', async (req, res, next) => {
    const name = BREAKS.find((one) => one === req.params.name)
    if (!name) return next()
    const count = await breaks[name]().catch((error) => {
      if (error.status !== 409) throw error // it is held already, or not held
    })
    const n = typeof count === 'number' ? count : 0
    if (req.accepts(['html', 'json']) === 'json') res.json({ text: outcomeOf(BREAK_WORDS[res.locals.visitor.language], name, n) })
    else res.redirect(303, `/break?did=${name}&n=${n}`)
  })
  return router
}

function outcomeOf({ outcome }: (typeof BREAK_WORDS)['en'], name: Break, n: number): string {
  return (outcome[name] as string).replace('{n}', name === 'webhook' ? String(n) : n.toLocaleString('en'))
}

/** What is behind a button is read from the file that does it. */
function codesOf(names: readonly Break[]): Record<Break, string> {
  const text = readFileSync(new URL('breaks.ts', import.meta.url), 'utf8')
  const codes = names.map((name) => {
    const found = new RegExp(`^  async ${name}\\(\\).*?^  \\}`, 'ms').exec(text)?.[0] ?? ''
    return [name, found.replace(/^ {2}/gm, '')]
  })
  return Object.fromEntries(codes)
}
