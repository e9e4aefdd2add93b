// What the pages do by themselves: load themselves again when an order has changed, say where nobody settles one, and show the figures.

const patienceMs = 3000
const againMs = 5000

addEventListener('countdown', ({ target, detail }) => {
  const is = ['settling', 'checking', 'held'].includes(detail.state) ? 'running' : detail.state
  clearTimeout(target.patience)
  const wrong = target.parentElement.querySelector('.wrong')
  wrong.hidden = true
  if (detail.state === 'settling') {
    target.patience = setTimeout(() => {
      wrong.hidden = false
    }, patienceMs)
  }
  if (is !== 'absent' && is !== target.getAttribute('was')) void showAgain(detail.id)
})

/** Orders that have changed since the page was made. */
const changed = new Set()
let isUnderWay = false

/** Puts the page as it is now in the place of what is shown, or the part of it that has orders; leaves the focus where it is, and says what changed. */
async function showAgain(id) {
  changed.add(id)
  if (isUnderWay) return
  isUnderWay = true
  await wait(100) // several orders may change together
  const page = await pageNow()
  isUnderWay = false
  const part = document.querySelector('[data-again]') ? '[data-again]' : 'main'
  const [old, now] = [document, page].map((one) => one.querySelector(part))
  if (!now) return
  const focused = old.contains(document.activeElement) && document.activeElement
  const at = focused && (focused.closest('form')?.getAttribute('action') ?? focused.getAttribute('href'))
  old.replaceWith(now)
  if (focused) (now.querySelector(`form[action="${at}"] button, [href="${at}"]`) ?? document.querySelector('main')).focus()
  const names = [...changed].flatMap((order) => document.getElementById(`order-${order}`)?.textContent ?? [])
  say(document.getElementById('news'), names.join(', '))
  changed.clear()
}

/** While the shop does not answer, it is asked again. */
async function pageNow() {
  for (;;) {
    const answer = await fetch(location.href).catch(() => undefined)
    const text = answer?.status < 500 && (await answer.text().catch(() => undefined))
    if (text) return new DOMParser().parseFromString(text, 'text/html')
    await wait(againMs)
  }
}

function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

addEventListener('submit', async (event) => {
  const form = event.target
  if (!('break' in form.dataset)) return
  event.preventDefault()
  const button = form.querySelector('button')
  if (button.hasAttribute('aria-disabled')) return
  const outcome = form.closest('.card, section').querySelector('.outcome')
  button.setAttribute('aria-disabled', 'true') // a button that is disabled loses the focus
  outcome.textContent = outcome.dataset.busy
  const said = await fetch(form.action, { method: 'POST', headers: { accept: 'application/json' } })
    .then((answer) => answer.ok && answer.json())
    .catch(() => undefined)
  button.removeAttribute('aria-disabled')
  outcome.textContent = said ? said.text : outcome.dataset.failed
  if (form.parentElement.querySelector('[data-again]')) void showAgain()
})

const strip = document.getElementById('figures')
if (strip) void showFigures()

/** One question after the other, however long an answer takes. */
async function showFigures() {
  if (!document.hidden)
    await fetch('/break/figures')
      .then((answer) => answer.json())
      .catch(() => ({ faults: [document.getElementById('fault').dataset.unread] }))
      .then(show)
  setTimeout(showFigures, 1000)
}

/** What is not known is a dash: figures that stay would look as if they were read. */
function show({ now, old, faults, worker, listening = 0 }) {
  put(strip, now && { ...now, median: ms(now.median), latest: ms(now.latest), via: `${now.alarm} / ${now.event} / ${now.sweep}` })
  put(document.getElementById('old-figures'), listening > 0 ? { ...old, latest: ms(old.latest) } : undefined)
  const recipe = document.getElementById('listening')
  say(recipe, now ? recipe.dataset[listening] : '')
  recipe.classList.toggle('off', listening === 0)
  const shown = document.getElementById('worker')
  say(shown, now ? (worker ? shown.dataset.on : shown.dataset.off) : '')
  shown.classList.toggle('off', !worker)
  say(document.getElementById('fault'), faults.join(', '))
}

function put(list, figures) {
  for (const dd of list.querySelectorAll('[data-figure]')) {
    const { figure } = dd.dataset
    const value = figures?.[figure] ?? '–'
    say(dd, value.toLocaleString(document.documentElement.lang))
    dd.classList.toggle('bad', ['lost', 'early', 'twice', 'overdue'].includes(figure) && value > 0)
  }
}

function ms(value) {
  return value < 1000 ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : `${(value / 1000).toFixed(1)} s`
}

/** What says the same is left alone, so that nothing is drawn or read out again. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text
}
