// The page: which screen is shown, what is known, and when it is looked up again. Updates of "Now" come by a stream that is closed while the page
// is hidden; the other screens reload when they receive one.

import { ask } from './act.js'
import { Choice } from './choice.js'
import { h } from './dom.js'
import { words } from './format.js'
import { dueScreen, stuckScreen } from './lists.js'
import { Live, LOOK_MS } from './live.js'
import { nowScreen, verdictOf } from './now.js'
import { orderScreen } from './one.js'
import { actionsScreen, lateScreen, processesScreen } from './others.js'
import { href, link, query, screenIn } from './place.js'

const SCREENS = ['now', 'due', 'late', 'stuck', 'order', 'processes', 'actions']
const DRAWN = {
  now: nowScreen,
  due: dueScreen,
  late: lateScreen,
  stuck: stuckScreen,
  order: orderScreen,
  processes: processesScreen,
  actions: actionsScreen,
}

const main = document.getElementById('content')
const header = document.querySelector('header')
const said = document.getElementById('said')
const who = h('span', { class: 'who' })

/** How soon to ask again if something was not known yet. */
const AGAIN_MS = 500

let now
let shown
let looking = 0
const choice = new Choice({ draw, act, kinds: () => now?.kinds ?? [] })

function heading() {
  const current = screenIn(query())
  const other = document.documentElement.lang === 'en' ? 'zh-TW' : 'en'
  header.replaceChildren(
    h('span', { class: 'brand' }, h('img', { src: 'icon.svg', alt: '' }), h('span', {}, 'order-timers')),
    h(
      'nav',
      { 'aria-label': 'order-timers' },
      SCREENS.map((view) => link(view, {}, words.screens[view], view === current ? { 'aria-current': 'page' } : {})),
    ),
    h(
      'div',
      { class: 'aside' },
      who,
      live.sign,
      h(
        'a',
        {
          href: href(current, { ...Object.fromEntries(query()), view: undefined, lang: other }),
          lang: other,
          hreflang: other,
          'data-full': true,
        },
        words.other,
      ),
    ),
  )
  header.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
}

function names() {
  for (const element of [document.querySelector('.skip')]) element.textContent = words.skip
}

/** Draws the screen, and restores focus and scroll position. */
function draw() {
  if (!shown) return
  const { view, data, error, recording, me } = shown
  const params = query()
  const can = me?.can === 'act' && recording === 'ready'
  const context = {
    params,
    now,
    can,
    go,
    act,
    actions: shown.actions,
    ...choice.columnsOf(shown, can),
  }
  const key = document.activeElement?.dataset?.key
  const scrolled = main.querySelector('.scroll')?.scrollLeft
  const note = me?.can === 'act' && recording !== 'ready' && h('p', { class: 'note' }, words.readOnly[recording] ?? recording)
  main.replaceChildren(
    ...[
      note,
      error ? h('p', { class: 'note bad', role: 'alert' }, error) : undefined,
      ...(data === undefined ? [] : DRAWN[view](view === 'now' ? now : data, context)),
    ]
      .flat(2)
      .filter(Boolean),
  )
  if (key) main.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true })
  if (scrolled) main.querySelector('.scroll').scrollLeft = scrolled
  if (me) who.textContent = words.signedIn(me.user, me.can)
  announce()
}

async function act(action, kind, orders, about) {
  if (await ask(action, kind, orders, about)) await look()
}

/** Announces a change to screen readers, and sets the title of the tab. */
function announce() {
  if (!now) return
  const { level, text } = verdictOf(now)
  const sign = { bad: '✘ ', warn: '! ' }[level] ?? ''
  document.title = `${sign}${words.screens[screenIn(query())] ?? ''} · order-timers`
  const spoken = text.replace(/\d[\d,.:]*/g, '')
  if (said.dataset.spoken === spoken) return
  said.dataset.spoken = spoken
  said.textContent = text
}

async function look() {
  const params = query()
  const view = SCREENS.includes(screenIn(params)) ? screenIn(params) : 'now'
  const turn = ++looking
  try {
    const asked = new URLSearchParams(params)
    for (const name of ['view', 'lang']) asked.delete(name)
    const needsNow = view !== 'now' && now === undefined ? get('now') : undefined
    const found = view === 'order' && !params.get('id') ? await get('now') : await get(view, asked)
    const actions =
      view === 'order' && params.get('id')
        ? (await get('actions', new URLSearchParams({ order: params.get('id') })).catch(() => undefined))?.data.actions
        : undefined
    if (needsNow) now = (await needsNow).data
    if (turn !== looking) return
    if (view === 'now') now = found.data
    const againMs = now?.looking || found.data?.looking ? AGAIN_MS : found.recording === 'unknown' ? 4 * AGAIN_MS : undefined
    if (againMs !== undefined) setTimeout(() => turn === looking && !isBusy() && look(), againMs)
    shown = { view, ...found, actions, ...(view === 'order' && !params.get('id') && { data: null }) }
  } catch (error) {
    if (turn !== looking) return
    shown = {
      ...shown,
      view,
      data: shown?.view === view ? shown.data : view === 'order' ? null : undefined,
      error: words.failed(error.message),
    }
  }
  draw()
}

async function get(screen, params) {
  const answer = await fetch(`data/${screen}?${params ?? ''}`, { headers: { accept: 'application/json' }, credentials: 'same-origin' })
  const isJson = answer.headers.get('content-type')?.startsWith('application/json')
  if (!isJson) throw new Error(String(answer.status))
  const body = await answer.json()
  if (!answer.ok) throw new Error(body.error?.message ?? String(answer.status))
  return body
}

function go(view, changes) {
  history.pushState(null, '', href(view, changes))
  arrive()
}

function arrive() {
  choice.clear()
  heading()
  void look()
}

/** The screen is not redrawn while the user is choosing or typing. */
function isBusy() {
  const { activeElement } = document
  return (
    choice.size > 0 ||
    document.querySelector('dialog') !== null ||
    (main.contains(activeElement) && /^(?:INPUT|SELECT)$/.test(activeElement.tagName))
  )
}

let lookedAt = Date.now()
function hear(news) {
  if (news) now = news
  if (shown?.view === 'now' && !isBusy()) draw()
  else if (!isBusy() && Date.now() - lookedAt > LOOK_MS && !query().get('after')) {
    lookedAt = Date.now()
    void look()
  } else announce()
}

const live = new Live({
  hear,
  refused() {
    shown = { ...shown, error: words.ended }
    draw()
  },
  /** @returns whether the page is up to date after it */
  async look() {
    if (isBusy()) return false
    await look()
    return shown !== undefined && !shown.error
  },
})

document.addEventListener('click', (event) => {
  const anchor = event.target.closest?.('a[href^="./"]')
  if (
    !anchor ||
    anchor.dataset.full !== undefined ||
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  )
    return
  event.preventDefault()
  history.pushState(null, '', anchor.getAttribute('href'))
  arrive()
  if (header.contains(anchor) || anchor.rel === 'next') {
    main.focus({ preventScroll: true })
    scrollTo(0, 0)
  }
})
addEventListener('popstate', arrive)

names()
heading()
main.append(h('p', { class: 'intro' }, words.loading))
void look()
live.start()
