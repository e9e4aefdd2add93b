// Lists of orders: the screens "Due" and "Stuck", with orders that can be chosen and acted on together.

import { h, svg, table } from './dom.js'
import { ago, capped, number, span, time, words } from './format.js'
import { chooser, href, link, orderLink, tabs } from './place.js'

const MOST = 200
const HOURS = [1, 6, 24]
const STATES = ['overdue', 'retrying', 'locked', 'dead', 'stale', 'held', 'unverified', 'undated']

/** What can be done with orders in a state. */
const ACTS = {
  pending: ['extend', 'pause', 'cancel', 'settle'],
  overdue: ['settle', 'extend', 'cancel'],
  retrying: ['extend', 'cancel'],
  locked: ['extend', 'cancel'],
  dead: ['retry', 'discard'],
  stale: ['settle', 'extend', 'cancel'],
  held: ['extend', 'cancel'],
  unverified: ['settle unverified', 'extend', 'cancel'],
  undated: [],
}

export function dueScreen(due, context) {
  const { params, now, go } = context
  const kind = params.get('kind') ?? ''
  const hours = Number(params.get('hours') ?? 24)
  const kinds = now?.kinds.map((one) => one.kind) ?? []
  const others = { kind, hours: params.get('hours') }
  const headings = columnsOf(due.orders)
  const columns = [
    ...context.choosing(),
    { head: words.due.at, first: true },
    { head: words.due.left, number: true },
    { head: words.rule },
    { head: words.order },
    ...headings.map((head) => ({ head, text: true })),
  ]
  const rows = due.orders.map((order) => [
    ...context.choice(order.kind, order, words.form.choose(order.id)),
    time(order.deadlineMs),
    span(Math.max(0, order.deadlineMs - due.nowMs)),
    order.kind,
    orderLink(order.kind, order.id),
    ...cellsOf(order, headings),
  ])
  return [
    h('h1', {}, words.screens.due),
    h('p', { class: 'intro' }, words.due.intro),
    h(
      'div',
      { class: 'filters' },
      chooser(words.rule, 'kind', [['', words.allRules], ...kinds.map((one) => [one, one])], kind, (value) =>
        go('due', { ...others, kind: value }),
      ),
      tabs(
        words.due.range,
        'due',
        hours,
        HOURS.map((one) => [{ hours: one }, span(one * 3_600_000), one]),
        { kind },
      ),
    ),
    due.problems.map(({ kind: of, text }) => h('p', { class: 'note' }, `${of}: ${text}`)),
    due.slices.length > 0 && chart(due, hours),
    rows.length > 0 ? table(words.screens.due, columns, rows) : h('p', { class: 'card empty' }, words.none),
    pages('due', others, params, due.next),
    context.bar(ACTS.pending),
  ]
}

export function stuckScreen(stuck, context) {
  const [{ params, now, go }, { kind, state }] = [context, stuck]
  const kinds = [...new Set([...(now?.kinds ?? []).flatMap((one) => [one, ...one.reminders].map((of) => of.kind)), kind])]
  const { counts = {}, verifies } = now?.kinds.find((one) => one.kind === kind) ?? {}
  const reminded = /\.reminder-/.test(kind)
  const states = reminded ? ['retrying', 'dead'] : STATES.filter((one) => one !== 'unverified' || one === state || verifies)
  const headings = columnsOf(stuck.orders)
  const dated = stuck.orders.some(({ deadlineMs }) => deadlineMs !== null)
  const [failed, locked] = ['failure', 'lock'].map((name) => stuck.orders.some((order) => order[name]))
  const columns = [
    ...context.choosing(),
    { head: words.order, first: true },
    ...(dated ? [{ head: words.deadline }, { head: words.stuck.overdueBy, number: true }] : []),
    ...(failed
      ? [{ head: words.stuck.attempts, number: true }, { head: words.stuck.failedAt }, { head: words.stuck.error, text: true, wide: true }]
      : []),
    ...(locked ? [{ head: words.stuck.holder, text: true, wide: true }] : []),
    ...headings.map((head) => ({ head, text: true })),
  ]
  const rows = stuck.orders.map((order) => [
    ...context.choice(kind, order, words.form.choose(order.id)),
    orderLink(kind, order.id),
    ...(dated
      ? [time(order.deadlineMs), order.deadlineMs === null || order.deadlineMs > stuck.nowMs ? null : span(stuck.nowMs - order.deadlineMs)]
      : []),
    ...(failed ? failureCells(order.failure, stuck.nowMs) : []),
    ...(locked ? [order.lock ? holder(order.lock) : null] : []),
    ...cellsOf(order, headings),
  ])
  return [
    h('h1', {}, words.screens.stuck),
    h('p', { class: 'intro' }, words.stuck.intro),
    h(
      'div',
      { class: 'filters' },
      chooser(
        words.rule,
        'kind',
        kinds.map((one) => [one, one]),
        kind,
        (value) => go('stuck', { kind: value, state: /\.reminder-/.test(value) ? 'dead' : state }),
      ),
      tabs(
        words.screens.stuck,
        'stuck',
        state,
        states.map((one) => [{ state: one }, counts[one] ? `${words.states[one]} ${capped(counts[one])}` : words.states[one], one]),
        { kind },
      ),
    ),
    h('p', { class: 'intro' }, words.about[state]),
    rows.length > 0
      ? table(words.states[state], columns, rows)
      : h('p', { class: 'card empty' }, stuck.next ? words.stuck.notYet : words.none),
    pages('stuck', { kind, state }, params, stuck.next),
    context.bar(reminded && state !== 'dead' ? [] : (ACTS[state] ?? [])),
  ]
}

/** The actions that are possible for each of the rules. */
export function fitting(acts, rules) {
  return acts.filter((name) =>
    rules.every(({ form, pausable }) => {
      if (name === 'pause') return pausable
      return form !== 'since' || !['extend', 'resume', 'cancel'].includes(name)
    }),
  )
}

/** What cannot be undone. */
export function isGrave(name) {
  return name === 'cancel' || name === 'discard' || name.startsWith('settle')
}

/** The bar for the selected orders. */
export function chosenBar(count, acts, { act, clear }) {
  if (count === 0 || acts.length === 0) return undefined
  const isTooMany = count > MOST
  return h(
    'div',
    { class: 'chosen', role: 'region', 'aria-label': words.form.chosen(count) },
    h('strong', {}, isTooMany ? words.form.limit : words.form.chosen(number(count))),
    acts.map((name) =>
      h(
        'button',
        {
          class: isGrave(name) ? 'grave' : undefined,
          disabled: isTooMany,
          onclick: () => act(name),
        },
        words.acts[name],
      ),
    ),
    h('button', { onclick: clear }, words.form.clear),
  )
}

export function failureCells(failure, nowMs) {
  if (!failure) return [null, null, null]
  const { first, stack } = failure
  return [number(failure.attempts), ago(Math.max(0, nowMs - Date.parse(failure.at))), errorOf(failure.error, first, stack)]
}

/** The last error; the first one if it differs; and the stack, folded. */
export function errorOf(error, first, stack) {
  return h(
    'div',
    {},
    h('code', {}, error),
    first && first.error !== error && h('span', { class: 'sub' }, `${words.stuck.first}: `, h('code', {}, first.error)),
    stack && h('details', {}, h('summary', {}, words.stuck.stack), h('pre', {}, stack)),
  )
}

export function holder({ pid, application, user, openForS, statement }) {
  const who = [application, user].filter(Boolean).join(' · ')
  return h(
    'span',
    {},
    `pid ${pid ?? '?'}${who ? ` (${who})` : ''}`,
    openForS !== null && h('span', { class: 'sub' }, words.stuck.openFor(span(openForS * 1_000))),
    statement && h('code', { class: 'sub' }, statement),
  )
}

function columnsOf(orders) {
  return [...new Set(orders.flatMap(({ columns }) => columns.map(([heading]) => heading)))]
}

function cellsOf({ columns }, headings) {
  const values = new Map(columns)
  return headings.map((heading) => values.get(heading) || null)
}

function pages(view, others, params, next) {
  const isFirst = !params.get('after')
  if (isFirst && !next) return undefined
  return h(
    'nav',
    { class: 'pages', 'aria-label': words.more },
    !isFirst && link(view, others, words.firstPage),
    next && h('a', { class: 'button', rel: 'next', href: href(view, { ...others, after: next }), 'data-key': 'next' }, words.more),
  )
}

/** How many orders come due in each slice of time, of all rules together. */
function chart({ slices, nowMs }, hours) {
  const seconds = slices[0]?.seconds ?? 3_600
  const counts = new Map()
  for (const { counts: found } of slices) for (const { fromMs, count } of found) counts.set(fromMs, (counts.get(fromMs) ?? 0) + count)
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  if (total === 0) return undefined
  const first = Math.floor(nowMs / (seconds * 1_000)) * seconds * 1_000
  const places = Math.ceil((hours * 3_600) / seconds) + 1
  const highest = Math.max(...counts.values())
  const width = 720 / places
  const bars = [...counts].map(([fromMs, count]) => {
    const height = Math.max(1.5, (64 * count) / highest)
    return svg(
      'rect',
      { x: ((fromMs - first) / (seconds * 1_000)) * width + 1, y: 65 - height, width: Math.max(1, width - 2), height },
      svg('title', {}, `${new Date(fromMs).toLocaleTimeString()}: ${number(count)}`),
    )
  })
  const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => h('span', {}, share === 0 ? words.just : `+${span(share * hours * 3_600_000)}`))
  const text = words.due.chart(capped(total), total > 10_000)
  return h(
    'figure',
    { class: 'figure' },
    h('figcaption', { class: 'sub' }, text),
    svg(
      'svg',
      { class: 'chart', viewBox: '0 0 720 66', preserveAspectRatio: 'none', role: 'img', 'aria-label': text },
      svg('line', { x1: 0, x2: 720, y1: 65.5, y2: 65.5 }),
      bars,
    ),
    h('div', { class: 'marks', 'aria-hidden': 'true' }, marks),
  )
}
