// <order-countdown kind="order_pay" order="34">: counts down to an order's deadline, and shows its state. All of them on a page share one
// stream for each hundred. Its texts are attributes named like the states, in which {time} is the time that is left; without one, WORDS has
// them. It sets the attribute `state`, and dispatches `countdown` when that changes.

/** English, Chinese. */
const WORDS = [
  { running: '{time}', paused: 'paused, {time} left', held: 'on hold', checking: 'checking payment…', settling: 'being settled…' },
  { running: '{time}', paused: '已暫停，剩 {time}', held: '暫時保留', checking: '確認付款中…', settling: '處理中…' },
]
const UNITS = [
  ['d', 'h'],
  ['天', '時'],
]
const SILENT_MS = 40_000
/** A proxy may buffer the stream: a page that has received nothing polls. */
const UNHEARD_MS = 10_000
const clock = () => performance.now()
const all = new Set()
let streams = []
let opening
let tickedAt = Date.now()
let slept = false

class OrderCountdown extends HTMLElement {
  static get observedAttributes() {
    return ['kind', 'order']
  }

  /** Nothing is known of another order yet. */
  attributeChangedCallback(_name, was, is) {
    if (was === is) return
    this.state = undefined
    this.removeAttribute('state')
    if (this.timer) this.timer.textContent = this.status.textContent = ''
    open()
  }

  connectedCallback() {
    all.add(this)
    open()
  }

  disconnectedCallback() {
    all.delete(this)
    open()
  }

  take({ state, remaining }) {
    if (!this.timer) {
      // The content between the tags stays until here.
      this.timer = span('timer') // its ticks are not announced
      this.status = span('status')
      this.replaceChildren(this.timer, this.status)
    }
    this.dueAt = clock() + remaining
    this.left = remaining
    this.show(state)
  }

  get which() {
    return { kind: this.getAttribute('kind'), id: this.getAttribute('order') }
  }

  tick() {
    if (this.state !== 'running') return
    this.left = this.dueAt - clock()
    this.show(this.left > 0 ? 'running' : 'settling')
  }

  show(state) {
    const zh = Number(/^zh/.test(this.closest('[lang]')?.lang))
    const text = (this.getAttribute(state) ?? WORDS[zh][state] ?? '').replace('{time}', time(this.left, UNITS[zh]))
    const [full, empty] = state === 'running' ? [this.timer, this.status] : [this.status, this.timer]
    if (full.textContent !== text) full.textContent = text
    empty.textContent = ''
    if (this.state === state) return
    this.state = state
    this.setAttribute('state', state)
    const detail = { ...this.which, state, remaining: this.left }
    this.dispatchEvent(new CustomEvent('countdown', { bubbles: true, detail }))
  }
}

function span(role) {
  const made = document.createElement('span')
  made.setAttribute('role', role)
  return made
}

/** Tenths below ten seconds; from then on whole seconds, rounded up. */
function time(ms, [d, h]) {
  const { ceil, floor } = Math
  if (ms < 10_000) return `${(Math.max(0, ceil(ms / 100)) / 10).toFixed(1)} s`
  const s = ceil(ms / 1000)
  const two = (n) => String(n).padStart(2, '0')
  if (s < 3600) return `${floor(s / 60)}:${two(s % 60)}`
  if (s < 86_400) return `${floor(s / 3600)}:${two(floor(s / 60) % 60)}:${two(s % 60)}`
  return `${floor(s / 86_400)} ${d} ${floor(s / 3600) % 24} ${h}`
}

/** Reopens the streams after a moment, since several elements may be added or removed together. */
function open(waitMs = 50) {
  clearTimeout(opening)
  opening = setTimeout(() => {
    for (const { source } of streams) source.close()
    const elements = [...all].filter(({ which: { kind, id } }) => kind && id && !document.hidden) // a stream with none is refused for all of its elements
    streams = []
    while (elements.length > 0) streams.push(follow(elements.splice(0, 100)))
  }, waitMs)
}

function follow(elements) {
  const ids = {}
  for (const element of elements) {
    const { kind, id } = element.which
    ids[kind] = [...(ids[kind] ?? []), id]
  }
  const at = (path) => new URL(`${path}?${new URLSearchParams(ids)}`, import.meta.url)
  const show = (countdowns) => {
    for (const countdown of countdowns) {
      for (const element of elements)
        if (element.which.kind === countdown.kind && element.which.id === countdown.id) element.take(countdown)
    }
  }
  const source = new EventSource(at('stream'))
  const stream = {
    source,
    at: clock(),
    patience: UNHEARD_MS,
    ask: async () => show((await (await fetch(at('now'))).json()).countdowns),
  }
  for (const name of ['beat', 'countdowns']) {
    source.addEventListener(name, ({ data }) => {
      stream.at = clock()
      stream.patience = SILENT_MS
      show([JSON.parse(data)].flat())
    })
  }
  source.onerror = () => source.readyState === 2 && open(5000 + Math.random() * 10_000)
  return stream
}

/** A page that stays hidden has no streams: the server has room for only so many. */
addEventListener('visibilitychange', () => open(document.hidden && SILENT_MS))

/**
 * Reopening the stream corrects a clock that stood still while the machine slept or the page was hidden. Sleep is detected by the wall clock, and
 * silence by the monotonic clock: otherwise a wall clock that is set back would delay it.
 */
setInterval(() => {
  const now = clock()
  slept = slept || Math.abs(Date.now() - tickedAt) > 5000
  tickedAt = Date.now()
  for (const element of all) element.tick()
  if (document.hidden) return
  for (const stream of streams) {
    if (now - stream.at < stream.patience) continue
    stream.at = now
    if (stream.patience === SILENT_MS) slept = true
    else stream.ask().catch(() => {})
  }
  if (slept) open()
  slept = false
}, 100)

customElements.define('order-countdown', OrderCountdown)
