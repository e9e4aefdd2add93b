// What the pages do by themselves: load themselves again when an order has changed, say where nobody settles one, and show the figures.

const patienceMs = 3000

addEventListener('countdown', ({ target, detail }) => {
  const was = target.getAttribute('was')
  const is = ['settling', 'checking', 'held'].includes(detail.state) ? 'running' : detail.state
  clearTimeout(target.patience)
  const wrong = target.parentElement.querySelector('.wrong')
  wrong.hidden = true
  if (detail.state === 'settling') {
    target.patience = setTimeout(() => {
      wrong.hidden = false
    }, patienceMs)
  }
  if (is !== was) void showAgain()
})

/** Puts the page as it is now in the place of what is shown, or the part of it that has orders, and leaves the focus where it is. */
async function showAgain() {
  if (showAgain.isUnderWay) return
  showAgain.isUnderWay = true
  await new Promise((resolve) => setTimeout(resolve, 100)) // several orders may change together
  const text = await fetch(location.href).then((response) => response.text())
  showAgain.isUnderWay = false
  const action = document.activeElement?.closest('form')?.getAttribute('action')
  const part = document.querySelector('[data-again]') ? '[data-again]' : 'main'
  document.querySelector(part).replaceWith(new DOMParser().parseFromString(text, 'text/html').querySelector(part))
  if (action) document.querySelector(`form[action="${action}"] button`)?.focus()
}

addEventListener('submit', async (event) => {
  const form = event.target
  if (!('break' in form.dataset)) return
  event.preventDefault()
  const button = form.querySelector('button')
  if (button.hasAttribute('aria-disabled')) return
  button.setAttribute('aria-disabled', 'true') // a button that is disabled loses the focus
  const answer = await fetch(form.action, { method: 'POST', headers: { accept: 'application/json' } }).catch(() => undefined)
  button.removeAttribute('aria-disabled')
  const outcome = form.parentElement.querySelector('.outcome')
  if (outcome && answer?.ok) outcome.textContent = (await answer.json()).text
  if (form.parentElement.matches('[data-again]')) void showAgain()
})

const strip = document.getElementById('figures')
if (strip) void showFigures()

/** One question after the other, however long an answer takes. */
async function showFigures() {
  if (!document.hidden)
    await fetch('/break/figures')
      .then(show)
      .catch(() => {})
  setTimeout(showFigures, 1000)
}

async function show(response) {
  const { now, old, faults, worker, listening } = await response.json()
  put(strip, { ...now, median: ms(now.median), latest: ms(now.latest), via: `${now.alarm} / ${now.event} / ${now.sweep}` })
  put(document.getElementById('old-figures'), listening > 0 ? { ...old, latest: ms(old.latest) } : undefined)
  const recipe = document.getElementById('listening')
  say(recipe, recipe.dataset[listening])
  recipe.classList.toggle('off', listening === 0)
  const shown = document.getElementById('worker')
  say(shown, worker ? shown.dataset.on : shown.dataset.off)
  shown.classList.toggle('off', !worker)
  say(document.getElementById('fault'), faults.join(', '))
}

function put(list, figures) {
  for (const dd of list.querySelectorAll('[data-figure]')) {
    const { figure } = dd.dataset
    const value = figures?.[figure] ?? '–'
    say(dd, value.toLocaleString())
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
