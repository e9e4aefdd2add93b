// The page on which a visitor breaks things, with the code behind each button, and the figures that go on beside.

import { readFileSync } from 'node:fs'
import type { Request, Response, Router } from 'express'
import { Order } from '../models.js'
import { place } from '../orders.js'
import { html } from '../pages/html.js'
import { layout } from '../pages/layout.js'
import { orderCards } from '../pages/order.js'
import { TEAS } from '../pages/teas.js'
import { catchingRouter } from '../router.js'
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
  const router = catchingRouter()
  const codes = Object.fromEntries(BREAKS.map((name) => [name, codeOf('breaks.ts', name)]))
  const placing = codeOf('../orders.ts', 'place')
  const oldCode = ['subscribe', 'arm', 'work'].map((name) => codeOf('old-recipe.ts', name)).join('\n\n')

  router.get('/', async (req, res) => {
    const { visitor } = res.locals
    const words = BREAK_WORDS[visitor.language]
    const orders = await Order.findAll({ where: { buyer: visitor.buyer }, order: [['id', 'DESC']], limit: SHOWN })
    const { did, not, n } = req.query
    const outcome = (text: string | false = false) =>
      html`<p class="outcome" role="status" data-busy="${words.busy}" data-failed="${words.failed}">${text}</p>`
    const code = (of: string, text: string) =>
      html`<details><summary>${words.code}<span class="unseen">: ${of}</span></summary><pre tabindex="0"><code>${text}</code></pre></details>`
    const buttons = BREAKS.map((name) => {
      const [text, what] = words.breaks[name] as [string, string]
      const cannot = name === 'kill' && !worker.kill
      return html`<li class="card"><h2>${text}</h2><p>${what}${cannot && ` ${words.onlySeparate}`}</p>
<form method="post" action="/break/${name}" data-break><button aria-label="${words.doIt}: ${text}"${cannot && html` disabled`}>${words.doIt}</button></form>
${outcome(not === name ? words.refused[name] : did === name && outcomeOf(words, name, Number(n)))}
${code(text, codes[name] as string)}</li>`
    })
    const figures = ['settled', 'median', 'latest', 'via', 'overdue', 'lost', 'early', 'twice'] as const
    const old = ['done', 'latest', 'overdue', 'twice'] as const
    const main = html`<p class="slogan">${words.about}</p>
<section class="strip now card" aria-labelledby="now"><h2 id="now">${words.now} <span id="worker" class="status" data-on="${words.workerOn}" data-off="${words.workerOff}"></span></h2>
<p id="fault" role="status" data-unread="${words.unread}"></p>
<dl id="figures">${figures.map((name) => html`<div><dt>${words.figures[name]}</dt><dd data-figure="${name}">–</dd></div>`)}</dl></section>
<section class="strip card old" aria-labelledby="old"><div class="head"><h2 id="old">${words.old} <span id="listening" class="status" data-0="${words.listening[0]}" data-1="${words.listening[1]}" data-2="${words.listening[2]}"></span></h2>
<div class="actions">${[1, 2, 0].map((count) => html`<form method="post" action="/break/old/${count}" data-break><button>${words.listeners[count]}</button></form>`)}</div></div><p>${words.oldAbout}</p>
<dl id="old-figures">${old.map((name) => html`<div><dt>${words.oldFigures[name]}</dt><dd data-figure="${name}">–</dd></div>`)}</dl>
${outcome()}${code(words.old, oldCode)}</section>
<section class="placed" aria-labelledby="yours"><form class="head" method="post" action="/break/place" data-break><h2 id="yours">${words.yours}</h2>
<button class="primary">${words.place}</button></form>
${outcome()}<div class="yours" data-again>${await orderCards(visitor, orders)}</div>${code(words.place, placing)}</section>
<ul class="breaks">${buttons}</ul>`
    res.send(layout(visitor, { title: visitor.words.nav.break, path: '/break', main }))
  })

  router.get('/figures', async (_req, res) => {
    const [now, old] = await Promise.all([readFigures(worker.runsSince), oldRecipe.figures()])
    const faults = timers.health().faults.map(({ code }) => code)
    res.set('Cache-Control', 'no-store').json({ now, old, faults, worker: worker.runsSince !== undefined, listening: oldRecipe.listening })
  })

  router.post('/old/:count', async (req, res) => {
    await oldRecipe.listen(Math.min(2, Number(req.params.count) || 0))
    answer(req, res, '', '')
  })

  router.post('/place', async (req, res) => {
    const { buyer, language } = res.locals.visitor
    const [{ price, en, zh }] = TEAS
    await place(buyer, language === 'en' ? en : zh, price)
    answer(req, res, '', '')
  })

  router.post('/:name', async (req, res, next) => {
    const name = BREAKS.find((one) => one === req.params.name)
    if (!name) return next()
    const words = BREAK_WORDS[res.locals.visitor.language]
    try {
      const count = await breaks[name]()
      const n = typeof count === 'number' ? count : 0
      answer(req, res, outcomeOf(words, name, n), `?did=${name}&n=${n}`)
    } catch (error) {
      if ((error as { status?: number }).status !== 409) throw error
      answer(req, res, words.refused[name] ?? words.failed, `?not=${name}`)
    }
  })
  return router
}

/** To the page's script the text; to a browser without one the page that has it. */
function answer(req: Request, res: Response, text: string, query: string): void {
  if (req.accepts(['html', 'json']) === 'json') res.json({ text })
  else res.redirect(303, `/break${query}`)
}

function outcomeOf({ outcome }: (typeof BREAK_WORDS)['en'], name: Break, n: number): string {
  return (outcome[name] as string).replace('{n}', name === 'webhook' ? String(n) : n.toLocaleString('en'))
}

/** What is behind a button is read from the file that does it. */
function codeOf(file: string, name: string): string {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8')
  const found = new RegExp(`^( *)(?:private |export )?async (?:function )?${name}\\(.*?^\\1\\}`, 'ms').exec(text)
  if (!found) throw new Error(`${file} has no "${name}"`)
  return found[0].replaceAll(new RegExp(`^${found[1]}`, 'gm'), '')
}
