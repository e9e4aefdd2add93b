// The orders that the user has selected on a list, and the actions on all of them. Each is kept with the deadline that was shown.

import { h } from './dom.js'
import { words } from './format.js'
import { chosenBar, fitting } from './lists.js'
import { query } from './place.js'

export class Choice {
  #page
  #chosen = new Map()

  /** @param page draws itself, acts on orders of one rule, and knows the rules */
  constructor(page) {
    this.#page = page
  }

  get size() {
    return this.#chosen.size
  }

  clear() {
    this.#chosen.clear()
  }

  /** The first column of a screen's table, and the bar below it; nothing if the user may not act. */
  columnsOf({ view, data }, can) {
    if (!can) return { choosing: () => [], choice: () => [], bar: () => undefined }
    const { orders = [], state } = data ?? {}
    // For a dead letter the deadline on its row does not matter.
    const shown = ({ deadlineMs, failure }) => (failure?.dead || (view === 'stuck' && state === 'dead') ? undefined : deadlineMs)
    const wish = (kind, order) => [`${kind} ${order.id}`, { kind, id: order.id, deadline: shown(order) }]
    return {
      choosing: () => {
        const all = orders.map((order) => wish(order.kind ?? query().get('kind') ?? data.kind, order))
        return orders.length > 0 ? [{ head: this.#box(all, words.form.all, 'choose all'), check: true }] : []
      },
      choice: (kind, order, label) => [this.#box([wish(kind, order)], label, `choose ${kind} ${order.id}`)],
      bar: (acts) => {
        const actions = { act: (action) => this.#act(action), clear: () => this.#clear() }
        return chosenBar(this.#chosen.size, fitting(acts, this.#rules()), actions)
      },
    }
  }

  #box(wishes, label, key) {
    return h('input', {
      type: 'checkbox',
      'aria-label': label,
      'data-key': key,
      checked: wishes.length > 0 && wishes.every(([name]) => this.#chosen.has(name)),
      onchange: ({ target }) => {
        for (const [name, order] of wishes) target.checked ? this.#chosen.set(name, order) : this.#chosen.delete(name)
        this.#page.draw()
      },
    })
  }

  #rules() {
    const kinds = new Set([...this.#chosen.values()].map(({ kind }) => kind))
    return this.#page.kinds().filter(({ kind }) => kinds.has(kind))
  }

  #clear() {
    this.#chosen.clear()
    this.#page.draw()
    document.getElementById('content').focus()
  }

  /** One action for each rule whose orders were selected. */
  async #act(action) {
    const kinds = new Map()
    for (const { kind, ...order } of this.#chosen.values()) kinds.set(kind, [...(kinds.get(kind) ?? []), order])
    for (const [kind, orders] of kinds) await this.#page.act(action, kind, orders)
    this.#chosen.clear()
    this.#page.draw()
  }
}
