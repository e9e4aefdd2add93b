// The stream of news. It rests while nobody sees the page; where there is none to be had, the page looks every now and then instead.

import { h } from './dom.js'
import { span, words } from './format.js'

export const LOOK_MS = 15_000

/** After so long without news the page says so. */
const SILENT_MS = 27_000

export class Live {
  /** What the bar at the top says of it. */
  sign = h('span', { class: 'live' })
  #page
  #stream
  #heardAt = Date.now()
  #isLive = false
  #isOver = false

  /** @param page what to do with news, when one may no longer look, and instead of news */
  constructor(page) {
    this.#page = page
  }

  start() {
    addEventListener('pagehide', () => this.#rest())
    addEventListener('pageshow', () => this.#listen())
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return this.#rest()
      this.#listen()
      void this.#page.look()
    })
    setInterval(() => this.#tick(), 1_000)
    setInterval(() => this.#lookInstead(), LOOK_MS)
    this.#tick()
    this.#listen()
  }

  #listen() {
    if (document.hidden || this.#isOver || this.#stream) return
    const stream = new EventSource('stream')
    this.#stream = stream
    stream.addEventListener('news', ({ data }) => {
      this.#heardAt = Date.now()
      this.#isLive = true
      this.#page.hear(JSON.parse(data))
      this.#tick()
    })
    stream.addEventListener('refused', () => {
      this.#rest()
      this.#isOver = true
      this.#page.refused()
    })
    stream.addEventListener('closed', () => {
      this.#isLive = false
      this.#tick()
    })
    // Lost, and then the browser tries again; or refused, as when too many are live.
    stream.addEventListener('error', () => {
      this.#isLive = false
      if (stream.readyState === EventSource.CLOSED && this.#stream === stream) this.#stream = undefined
    })
  }

  #rest() {
    this.#stream?.close()
    this.#stream = undefined
    this.#isLive = false
  }

  async #lookInstead() {
    if (this.#isLive || document.hidden || this.#isOver) return
    this.#listen()
    if (await this.#page.look()) this.#heardAt = Date.now()
    this.#tick()
  }

  #tick() {
    const silentMs = Date.now() - this.#heardAt
    const isLost = !this.#isOver && !document.hidden && silentMs > SILENT_MS
    const text = this.#isLive ? words.live : isLost ? words.lost(span(silentMs)) : words.looking
    this.sign.className = `live ${this.#isLive ? 'on' : isLost ? 'off' : ''}`
    if (this.sign.textContent !== text) this.sign.textContent = text
  }
}
