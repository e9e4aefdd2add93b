// The URL of what is shown: the screen and its filters. Links are real links, so that they can be opened elsewhere, copied and gone back to.

import { h } from './dom.js'
import { lang } from './format.js'

export function query() {
  return new URLSearchParams(location.search)
}

export function screenIn(params) {
  return params.get('view') ?? 'now'
}

/** @param changes filters; undefined takes one away */
export function href(view, changes = {}) {
  const params = new URLSearchParams()
  if (view !== 'now') params.set('view', view)
  for (const [name, value] of Object.entries(changes)) if (value !== undefined && value !== null && value !== '') params.set(name, value)
  const wished = query().get('lang')
  if (wished !== null && !('lang' in changes)) params.set('lang', lang)
  const text = String(params)
  return text === '' ? './' : `./?${text}`
}

/** A link within the page. `key` is by what it is found again, and focused, when the screen is drawn anew. */
export function link(view, changes, text, props = {}) {
  return h(
    'a',
    {
      href: href(view, changes),
      'data-key': `${view} ${new URLSearchParams(Object.entries(changes).filter(([, value]) => value))}`,
      ...props,
    },
    text,
  )
}

export function orderLink(kind, id) {
  return link('order', { id, kind: undefined }, id, { class: 'id', 'data-key': `order ${kind} ${id}` })
}

/** Links of one choice, of which one is current. */
export function tabs(label, view, current, choices, others) {
  return h(
    'div',
    { class: 'tabs', role: 'group', 'aria-label': label },
    choices.map(([changes, text, value]) =>
      link(view, { ...others, ...changes }, text, value === current ? { 'aria-current': 'true' } : {}),
    ),
  )
}

/** A select that goes where its option says. */
export function chooser(label, name, options, current, go) {
  const id = `choose-${name}`
  const select = h(
    'select',
    { id, 'data-key': id, onchange: (event) => go(event.target.value) },
    options.map(([value, text]) => h('option', { value, selected: value === current }, text)),
  )
  return h('div', {}, h('label', { for: id }, label), select)
}
