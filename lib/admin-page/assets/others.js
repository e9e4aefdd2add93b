// The screens "Late", "Processes" and "Actions".

import { h, svg, table } from './dom.js'
import { ago, number, percent, span, time, words } from './format.js'
import { actionsTable } from './one.js'
import { chooser, href, link, orderLink, tabs } from './place.js'

const MINUTES = [5, 60, 1_440]

export function lateScreen(late) {
  const { path, share, spread } = words.late
  const columns = [
    { head: path, first: true },
    { head: words.now.settled, number: true },
    { head: share, number: true },
    { head: words.now.p50, number: true },
    { head: words.now.p99, number: true },
    { head: spread, wide: true },
  ]
  const most = Math.max(1, ...late.kinds.flatMap(({ paths }) => paths.flatMap(({ buckets }) => buckets)))
  const settled = late.kinds.filter(({ all }) => all.count > 0)
  return [
    h('h1', {}, words.screens.late),
    h('p', { class: 'intro' }, words.late.intro),
    h(
      'div',
      { class: 'filters' },
      tabs(
        words.late.range,
        'late',
        late.minutes,
        MINUTES.map((one) => [{ minutes: one }, span(one * 60_000), one]),
        {},
      ),
    ),
    settled.length === 0 && h('p', { class: 'card empty' }, words.late.nothing),
    settled.map(({ kind, all, paths }) => [
      h('h2', {}, kind, ' ', h('span', { class: 'sub' }, `${words.now.p50} ${span(all.p50Ms)} · ${words.now.p99} ${span(all.p99Ms)}`)),
      table(
        kind,
        columns,
        paths.map((one) => [
          words.paths[one.path] ?? one.path,
          number(one.count),
          percent(one.count / all.count),
          span(one.p50Ms),
          h('span', { class: one.p99Ms > 1_000 ? 'is-warn' : undefined }, span(one.p99Ms)),
          spreadChart(one.buckets, late.bounds, most),
        ]),
      ),
    ]),
  ]
}

/** By the square root, so that a few late orders are visible beside many punctual ones. */
function spreadChart(buckets, bounds, most) {
  const bars = buckets.map((count, i) => {
    if (count === 0) return undefined
    const height = Math.max(2, 26 * Math.sqrt(count / most))
    const text = i < bounds.length ? words.late.upTo(span(bounds[i])) : words.late.later(span(bounds.at(-1)))
    return svg('rect', { x: i * 14, y: 28 - height, width: 12, height, rx: 1 }, svg('title', {}, `${text}: ${number(count)}`))
  })
  const used = buckets.flatMap((count, i) =>
    count > 0 ? [`${i < bounds.length ? words.late.upTo(span(bounds[i])) : words.late.later(span(bounds.at(-1)))} ${number(count)}`] : [],
  )
  const marks = [
    [3, '10 ms'],
    [9, '1 s'],
    [14, '1 min'],
  ].map(([place, text]) => svg('text', { x: place * 14 + 12, y: 40, 'text-anchor': 'end' }, text))
  return svg(
    'svg',
    { class: 'chart spread', viewBox: `0 0 ${buckets.length * 14} 42`, role: 'img', 'aria-label': used.join(', ') },
    svg('line', { x1: 0, x2: buckets.length * 14, y1: 28.5, y2: 28.5 }),
    bars,
    marks,
  )
}

export function processesScreen({ processes, redis, postgres, nowMs, looking }) {
  const { who, role, beat, started, version, clock, rules } = words.people
  const columns = [
    { head: who, first: true },
    { head: role },
    { head: beat, number: true },
    { head: started },
    { head: version },
    { head: clock, number: true },
    { head: words.people.redis, text: true },
    { head: rules, text: true },
  ]
  const rows = processes.map((one) => [
    h('span', { class: 'id' }, `${one.host}:${one.pid}`, one.isThis && h('span', { class: 'sub' }, words.people.isThis)),
    words.people[one.role] ?? one.role,
    h('span', { class: one.alive ? undefined : 'is-bad' }, one.alive ? ago(one.ageMs) : `${words.people.silent}, ${ago(one.ageMs)}`),
    h('span', {}, time(one.startedAt), h('span', { class: 'sub' }, ago(Math.max(0, nowMs - one.startedAt)))),
    one.version,
    h('span', { class: Math.abs(one.clockMs) > 1_000 ? 'is-warn' : undefined }, `${one.clockMs < 0 ? '−' : '+'}${span(one.clockMs)}`),
    one.redis ?? null,
    rulesOf(one),
  ])
  const heading = [h('h1', {}, words.screens.processes), h('p', { class: 'intro' }, words.people.intro)]
  if (looking) return [...heading, h('p', { class: 'card empty' }, words.loading)]
  return [
    ...heading,
    typeof redis === 'object' && h('p', { class: 'note' }, words.people.notRead('Redis'), ' ', redis.problem),
    postgres !== 'read' && h('p', { class: 'note' }, words.people.notRead('order_timers_processes'), ` (${postgres})`),
    rows.length > 0 ? table(words.screens.processes, columns, rows) : h('p', { class: 'card empty' }, words.none),
  ]
}

function rulesOf({ differs, lacks }) {
  const { same, differs: other, lacks: without } = words.people
  if (differs.length + lacks.length === 0) return same
  return [
    differs.length > 0 && h('span', { class: 'is-warn' }, other(differs.join(', '))),
    lacks.length > 0 && h('span', { class: 'sub' }, without(lacks.join(', '))),
  ]
}

export function actionsScreen({ actions, next }, { params, now, go }) {
  const kind = params.get('kind') ?? ''
  const kinds = now?.kinds.map((one) => one.kind) ?? []
  return [
    h('h1', {}, words.screens.actions),
    h('p', { class: 'intro' }, words.did.intro),
    h(
      'div',
      { class: 'filters' },
      chooser(words.rule, 'kind', [['', words.allRules], ...kinds.map((one) => [one, one])], kind, (value) =>
        go('actions', { kind: value }),
      ),
    ),
    actions.length > 0 ? actionsTable(actions, orderLink) : h('p', { class: 'card empty' }, words.none),
    h(
      'nav',
      { class: 'pages', 'aria-label': words.more },
      params.get('after') && link('actions', { kind }, words.firstPage),
      next && h('a', { class: 'button', rel: 'next', href: href('actions', { kind, after: next }), 'data-key': 'next' }, words.more),
    ),
  ]
}
