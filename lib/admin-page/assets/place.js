// The URL of what is shown: the screen and its filters. Links are real links, so the user can open them in a new tab, copy them and go back.

import { h } from './dom.js'
import { lang } from './format.js'

export function query() {
  return new URLSearchParams(location.search)
}

export function screenIn(params) {
  return params.get('view') ?? 'now'
}

/** @param changes filters; undefined removes one */
export function href(view, changes = {}) {
  const params = new URLSearchParams()
  if (view !== 'now') params.set('view', view)
  for (const [name, value] of Object.entries(changes)) if (value !== undefined && value !== null && value !== '') params.set(name, value)
  const wished = query().get('lang')
  if (wished !== null && !('lang' in changes)) params.set('lang', lang)
  const text = String(params)
  return text === '' ? './' : `./?${text}`
}

/** A link within the page. `key` identifies it, so that it keeps the focus when the screen is redrawn. */
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

/** Links of one choice; one of them is current. */
export function tabs(label, view, current, choices, others) {
  return h(
    'div',
    { class: 'tabs', role: 'group', 'aria-label': label },
    choices.map(([changes, text, value]) =>
      link(view, { ...others, ...changes }, text, value === current ? { 'aria-current': 'true' } : {}),
    ),
  )
}

/** A select that opens the URL of its option. */
export function chooser(label, name, options, current, go) {
  const id = `choose-${name}`
  const select = h(
    'select',
    { id, 'data-key': id, onchange: (event) => go(event.target.value) },
    options.map(([value, text]) => h('option', { value, selected: value === current }, text)),
  )
  return h('div', {}, h('label', { for: id }, label), select)
}
