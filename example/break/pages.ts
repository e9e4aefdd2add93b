// The page on which a visitor breaks things, with the code behind each button, and the figures that go on beside.

import { readFileSync } from 'node:fs'
import { Router } from 'express'
import { html } from '../pages/html.js'
import { layout } from '../pages/layout.js'
import { timers } from '../timers.js'
import type { ShopWorker } from '../workers.js'
import type { Breaks } from './breaks.js'
import { readFigures } from './figures.js'
import type { OldRecipe } from './old-recipe.js'
import { BREAK_WORDS } from './words.js'

const BREAKS = ['flush', 'cut', 'stop', 'start', 'kill', 'rush', 'foreign', 'webhook', 'hold', 'release'] as const

type Break = (typeof BREAKS)[number]

export function breakPages(breaks: Breaks, worker: ShopWorker, oldRecipe: OldRecipe): Router {
  const router = Router()
  const codes = codesOf(BREAKS)

  router.get('/', (_req, res) => {
    const { visitor } = res.locals
    const words = BREAK_WORDS[visitor.language]
    const buttons = BREAKS.map((name) => {
      const [text, what] = words.breaks[name] as [string, string]
      const cannot = name === 'kill' && !worker.kill
      return html`<li class="card"><h2>${text}</h2><p>${what}${cannot && ` ${words.onlySeparate}`}</p>
<form method="post" action="/break/${name}" data-break><button${cannot && html` disabled`}>${words.doIt}<span class="unseen">: ${text}</span></button></form>
<details><summary>${words.code}<span class="unseen">: ${text}</span></summary><pre tabindex="0"><code>${codes[name]}</code></pre></details></li>`
    })
    const figures = ['settled', 'median', 'latest', 'via', 'overdue', 'lost', 'early', 'twice'] as const
    const old = ['done', 'latest', 'overdue', 'twice'] as const
    const main = html`<p class="slogan">${words.about}</p>
<section class="strip card" aria-labelledby="now"><h2 id="now">${words.now} <span id="worker" class="status" data-on="${words.workerOn}" data-off="${words.workerOff}"></span></h2>
<p id="fault" role="status"></p>
<dl id="figures">${figures.map((name) => html`<div><dt>${words.figures[name]}</dt><dd data-figure="${name}">–</dd></div>`)}</dl></section>
<section class="strip card old" aria-labelledby="old"><h2 id="old">${words.old}</h2><p>${words.oldAbout}</p>
<div class="actions">${[1, 2, 0].map((count) => html`<form method="post" action="/break/old/${count}" data-break><button>${words.listeners[count]}</button></form>`)}</div>
<dl id="old-figures">${old.map((name) => html`<div><dt>${words.oldFigures[name]}</dt><dd data-figure="${name}">–</dd></div>`)}</dl></section>
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

  router.post('/:name', async (req, res, next) => {
    const name = BREAKS.find((one) => one === req.params.name)
    if (!name) return next()
    await breaks[name]().catch((error) => {
      if (error.status !== 409) throw error // it is held already, or not held
    })
    res.redirect(303, '/break')
  })
  return router
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
