// The page: asks for the orders every second, counts down in between, and posts what the buttons say.
// Everything that customers typed is put in as text.

const statuses = {
  0: { name: 'cancelled', actions: [] },
  1: { name: 'placed', next: 'is cancelled', actions: ['pay'] },
  2: { name: 'paid', actions: ['ship'] },
  4: { name: 'shipped', next: 'is confirmed', actions: ['confirm', 'extend'] },
  5: { name: 'completed', actions: [] },
}
const labels = { pay: 'Pay', ship: 'Ship', confirm: 'Confirm', extend: 'Extend by 30 s' }
const bodies = { extend: { by: '30s' } }
const soonMs = 5000
/** How long after its deadline an order that still stands there shows that nobody settles it. */
const patienceMs = 3000

const byId = (id) => document.getElementById(id)
const problems = { request: '', shop: '' }
let rows = new Map()

byId('place').addEventListener('submit', async (event) => {
  event.preventDefault()
  const form = event.currentTarget
  if (await post('/orders', { item: form.item.value })) form.reset()
})

byId('orders').addEventListener('click', ({ target }) => {
  const { id, action } = target.dataset
  if (action) void post(`/orders/${id}/${action}`, bodies[action] ?? {})
})

setInterval(refresh, 1000)
setInterval(countDown, 100)
void refresh()

async function refresh() {
  await telling('shop', async () => show((await ask('/orders')).orders))
}

async function post(path, body) {
  const done = await telling('request', async () => {
    await ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    return true
  })
  await refresh()
  return done
}

async function ask(path, options) {
  const response = await fetch(path, options)
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.error)
  return answer
}

/** Does the work, and says on the page what went wrong with it, until it goes well again. */
async function telling(what, work) {
  let done
  try {
    done = await work()
    problems[what] = ''
  } catch (error) {
    problems[what] = error.message
  }
  const text = problems.request || problems.shop
  byId('problem').textContent = text
  byId('problem').hidden = text === ''
  return done
}

function show(orders) {
  const receivedAt = performance.now()
  const shown = new Map()
  for (const order of orders) {
    const row = rows.get(order.id) ?? document.createElement('tr')
    shown.set(order.id, row)
    if (row.dataset.status !== String(order.status)) fill(row, order)
    row.dueAt = dueAt(row.dueAt, order.remaining, receivedAt)
  }
  rows = shown
  const wanted = [...rows.values()]
  if (wanted.some((row, index) => byId('orders').rows[index] !== row) || wanted.length !== byId('orders').rows.length) {
    byId('orders').replaceChildren(...wanted)
  }
  byId('empty').hidden = orders.length > 0
  countDown()
}

/** Of an order that was due before, 0 remains, and what is known says since when. */
function dueAt(known, remaining, receivedAt) {
  if (remaining === null) return undefined
  return remaining === 0 && known < receivedAt ? known : receivedAt + remaining
}

function fill(row, { id, item, status }) {
  const { name, actions } = statuses[status]
  row.dataset.status = status
  row.dueAt = undefined
  row.dataset.id = id
  const badge = element('span', `status ${name}`, name)
  const buttons = actions.map((action) => Object.assign(element('button', '', labels[action]), { type: 'button' }))
  for (const [index, button] of buttons.entries()) Object.assign(button.dataset, { id, action: actions[index] })
  row.replaceChildren(
    cell('id', `#${id}`),
    cell('item', item),
    cell('', badge),
    cell('next'),
    cell('actions', ...(buttons.length > 0 ? [group(buttons)] : [])),
  )
}

function countDown() {
  for (const row of rows.values()) {
    const remaining = row.dueAt === undefined ? undefined : row.dueAt - performance.now()
    const next = row.querySelector('.next')
    next.textContent = remaining === undefined ? '' : whatComes(statuses[row.dataset.status].next, remaining)
    next.classList.toggle('soon', remaining !== undefined && remaining < soonMs)
  }
}

/** What a timer does with an order, and when. A worker settles it within milliseconds; where none does, the page says so. */
function whatComes(next, remaining) {
  if (remaining > 0) return `${next} in ${(remaining / 1000).toFixed(1)} s`
  if (remaining > -patienceMs) return `${next} now`
  return `due for ${Math.round(-remaining / 1000)} s, and nobody settles it: is a worker running?`
}

function group(buttons) {
  const div = element('div', 'buttons')
  div.append(...buttons)
  return div
}

function cell(className, ...children) {
  const td = element('td', className)
  td.append(...children)
  return td
}

function element(tag, className, text = '') {
  return Object.assign(document.createElement(tag), { className, textContent: text })
}
