// Elements of the page. Text always becomes a text node, so text of a shop, a customer or a server is never interpreted as markup.

/** @param props attributes; `on…` are listeners, and what is undefined or false is left out */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children)
}

export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', tag), props, children)
}

function filled(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue
    if (typeof value === 'function') element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false && child !== ''))
  return element
}

/**
 * A table that is a list of cards on a telephone. The roles are set explicitly because such a `display` removes them.
 * @param columns each has `head`, and may have `number`, `begins`, `wide` and `text`
 * @param rows arrays of cells; a cell is what `h` takes as a child, and `null` is nothing
 * @param groups headings above the columns: [text, how many columns]
 */
export function table(label, columns, rows, groups) {
  const head = columns.map(({ head, number, begins }) =>
    h('th', { scope: 'col', role: 'columnheader', class: classes({ number, begins }) }, head),
  )
  const body = rows.map((cells) =>
    h(
      'tr',
      { role: 'row' },
      cells.map((cell, i) => {
        const { head, number, begins, wide, text, check, first } = columns[i]
        const idle = cell === null || cell === undefined
        const props = { class: classes({ number, begins, wide, text, check, idle }), 'data-label': check ? undefined : plain(head) }
        if (first) return h('th', { ...props, 'data-label': undefined, scope: 'row', role: 'rowheader' }, cell)
        return h('td', { ...props, role: 'cell' }, idle ? h('span', { class: 'none', 'aria-hidden': 'true' }, '·') : cell)
      }),
    ),
  )
  const top =
    groups &&
    h(
      'tr',
      { role: 'row', class: 'groups' },
      groups.map(([text, span], i) =>
        text === ''
          ? h('td', { role: 'cell', colspan: span })
          : h('th', { scope: 'colgroup', role: 'columnheader', colspan: span, class: classes({ begins: i > 0 }) }, text),
      ),
    )
  const element = h(
    'table',
    { role: 'table', class: 'stacks', 'aria-label': label },
    h('thead', { role: 'rowgroup' }, top, h('tr', { role: 'row' }, head)),
    h('tbody', { role: 'rowgroup' }, body),
  )
  return h('div', { class: 'scroll', role: 'region', tabindex: 0, 'aria-label': label }, element)
}

function plain(head) {
  return typeof head === 'string' ? head : (head?.textContent ?? '')
}

export function classes(names) {
  const all = Object.entries(names)
    .filter(([, on]) => on)
    .map(([name]) => name)
  return all.length > 0 ? all.join(' ') : undefined
}
