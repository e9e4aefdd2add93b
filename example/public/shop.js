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

/** Puts the page as it is now in the place of what is shown, and leaves the focus where it is. */
async function showAgain() {
  if (showAgain.isUnderWay) return
  showAgain.isUnderWay = true
  await new Promise((resolve) => setTimeout(resolve, 100)) // several orders may change together
  const text = await fetch(location.href).then((response) => response.text())
  showAgain.isUnderWay = false
  const action = document.activeElement?.closest('form')?.getAttribute('action')
  document.querySelector('main').replaceWith(new DOMParser().parseFromString(text, 'text/html').querySelector('main'))
  if (action) document.querySelector(`form[action="${action}"] button`)?.focus()
}

addEventListener('submit', async (event) => {
  if (!('break' in event.target.dataset)) return
  event.preventDefault()
  const button = event.target.querySelector('button')
  button.disabled = true
  await fetch(event.target.action, { method: 'POST' }).finally(() => {
    button.disabled = false
    button.focus()
  })
})

const strip = document.getElementById('figures')
if (strip) setInterval(showFigures, 1000)

async function showFigures() {
  if (document.hidden) return
  const { now, old, faults, worker } = await fetch('/break/figures').then((response) => response.json())
  put(strip, { ...now, median: ms(now.median), latest: ms(now.latest), via: `${now.alarm} / ${now.event} / ${now.sweep}` })
  put(document.getElementById('old-figures'), { ...old, latest: ms(old.latest) })
  const shown = document.getElementById('worker')
  shown.textContent = worker ? shown.dataset.on : shown.dataset.off
  shown.classList.toggle('off', !worker)
  const fault = document.getElementById('fault')
  if (fault.textContent !== faults.join(', ')) fault.textContent = faults.join(', ')
}

function put(list, figures) {
  for (const dd of list.querySelectorAll('[data-figure]')) {
    const { figure } = dd.dataset
    dd.textContent = typeof figures[figure] === 'number' ? figures[figure].toLocaleString() : figures[figure]
    dd.classList.toggle('bad', ['lost', 'early', 'twice', 'overdue'].includes(figure) && figures[figure] > 0)
  }
}

function ms(value) {
  return value < 1000 ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : `${(value / 1000).toFixed(1)} s`
}
