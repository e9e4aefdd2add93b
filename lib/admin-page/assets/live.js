// The stream of updates. It is closed while the page is hidden; if no stream is available, the page polls instead.

import { h } from './dom.js'
import { span, words } from './format.js'

export const LOOK_MS = 15_000

/** After this time without an update the page says so. */
const SILENT_MS = 27_000

export class Live {
  /** The state of the stream in the bar at the top. */
  sign = h('span', { class: 'live' })
  #page
  #stream
  #heardAt = Date.now()
  #isLive = false
  #isOver = false

  /** @param page what to do with an update, when access has ended, and without updates */
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
    // The stream was lost, and the browser tries again; or it was refused, for example because too many are open.
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
