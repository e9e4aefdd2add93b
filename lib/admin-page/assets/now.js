// The screen "Now": the sentence first, then each rule in a row.

import { h, svg, table } from './dom.js'
import { ago, at, capped, number, percent, span, time, words } from './format.js'
import { link } from './place.js'

const SIGNS = { good: '✓', warn: '!', bad: '✘', open: '…' }
const STUCK = ['overdue', 'retrying', 'locked', 'dead', 'stale', 'held', 'unverified', 'undated']

const LEVELS = { failing: 'bad', degraded: 'warn' }

/** A problem as a sentence, in the words of `order-timers status`; in other languages its translated name, next to that sentence. */
export function sentence(trouble) {
  return words.troubles === undefined ? english(trouble) : (words.troubles[trouble.code] ?? words.troubles.other)(trouble)
}

function english({ code, message }) {
  return `${code === 'NO_WORKER' ? 'NO WORKER ALIVE' : code.replaceAll('_', ' ')}: ${message}`
}

/** The first sentence, for the banner, the title and screen readers. */
export function verdictOf(now) {
  const [worst, ...others] = now.troubles
  if (!worst && now.looking) return { level: 'open', text: words.loading, others }
  if (!worst) return { level: 'good', text: words.fine(now.workers), others }
  return { level: LEVELS[worst.level], text: sentence(worst), worst, others }
}

export function nowScreen(now, { can, act }) {
  return [verdict(now), h('h2', {}, words.now.rules), rules(now, can, act)]
}

function verdict(now) {
  const { level, text, worst, others } = verdictOf(now)
  return h(
    'section',
    { class: `verdict ${level}` },
    h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[level]),
    h('h1', {}, text),
    worst && more(worst, 'p'),
    !worst && !now.looking && h('p', {}, words.idle(now.webs)),
    others.length > 0 &&
      h(
        'ul',
        {},
        others.map((one) => h('li', { class: one.level === 'failing' ? 'is-bad' : undefined }, sentence(one), more(one, 'span'))),
      ),
  )
}

/** The remedy; in other languages also the English sentence. */
function more(trouble, element) {
  const own = { class: element === 'span' ? 'sub' : undefined, lang: 'en' }
  return [words.troubles && h(element, own, english(trouble)), trouble.remedy && h(element, own, `→ ${trouble.remedy}`)]
}

function rules(now, can, act) {
  const { groups, next, oldest, p50, p99, paths, settled } = words.now
  const stuck = STUCK.filter((one) => one !== 'unverified' || now.kinds.some(({ verifies }) => verifies))
  const columns = [
    { head: words.rule, first: true },
    ...stuck.map((state, i) => ({ head: words.states[state], number: true, begins: i === 0 })),
    { head: words.states.paused, number: true, begins: true },
    { head: words.states.pending, number: true },
    { head: next, number: true },
    { head: settled, number: true, begins: true },
    { head: p50, number: true },
    { head: p99, number: true },
    { head: paths },
  ]
  const rows = now.kinds.map((kind) => [
    h(
      'div',
      {},
      link('due', { kind: kind.kind }, kind.kind),
      h('span', { class: 'sub' }, words.now.forms[kind.form] ?? kind.form),
      state(kind, can, act),
    ),
    ...stuck.map((one) => stuckCell(kind, one, oldest)),
    kind.counts?.paused ? capped(kind.counts.paused) : null,
    kind.counts?.pending ? link('due', { kind: kind.kind }, capped(kind.counts.pending), { 'data-key': `pending ${kind.kind}` }) : null,
    kind.nextMs === null ? null : h('span', {}, span(Math.max(0, kind.nextMs - kind.atMs)), h('span', { class: 'sub' }, time(kind.nextMs))),
    ...lateness(kind.lateness),
  ])
  return table(words.now.rules, columns, rows, [
    ['', 1],
    [groups.stuck, stuck.length],
    [groups.toCome, 3],
    [groups.hour, 4],
  ])
}

function state(kind, can, act) {
  return [
    kind.looking && h('span', { class: 'sub' }, words.loading),
    kind.problem && h('span', { class: 'sub is-bad' }, kind.problem),
    kind.brakedAtMs !== null &&
      h(
        'span',
        { class: 'sub is-bad' },
        words.now.braked,
        ' ',
        can &&
          h(
            'button',
            { 'data-key': `release ${kind.kind}`, onclick: () => act('release', kind.kind, [], { stoppedSince: kind.brakedAtMs }) },
            words.now.release,
          ),
      ),
    kind.holds.map((hold) =>
      h(
        'span',
        { class: 'sub is-warn' },
        held(hold),
        ' ',
        can && !hold.isRun && hold.state === 'held' && button('release', kind, act, { heldSince: hold.sinceMs, shiftable: kind.shiftable }),
      ),
    ),
    kind.unverified && h('span', { class: 'sub' }, unverified(kind.unverified)),
    can && kind.holdable && !kind.holds.some(({ isRun }) => !isRun) && h('span', { class: 'sub' }, button('hold', kind, act)),
    kind.ageMs > 6_000 && h('span', { class: 'sub' }, words.now.counted(ago(kind.ageMs))),
  ]
}

function button(action, { kind }, act, about) {
  return h('button', { class: 'quiet', 'data-key': `${action} ${kind}`, onclick: () => act(action, kind, [], about) }, words.acts[action])
}

/** In words: since when, by whom, why, and until when. */
export function held({ sinceMs, by, reason, isRun, state, untilMs }) {
  const { holds } = words
  const what = isRun ? holds.run(at(sinceMs), by, reason) : holds.person(at(sinceMs), by, reason)
  const end = state === 'moving' ? holds.moving : untilMs === null ? '' : holds.until(at(untilMs))
  return end === '' ? what : `${what} ${end}`
}

function unverified({ count, sinceMs, nextMs, refused, refusedId, lastError }) {
  const { verify } = words
  return [
    verify.waiting(capped(count), ago(Math.max(0, Date.now() - sinceMs)), nextMs === null ? '' : at(nextMs)),
    refused > 0 ? verify.refused(capped(refused), refusedId) : '',
    lastError ? verify.lastError(lastError) : '',
  ]
    .filter(Boolean)
    .join(' ')
}

function stuckCell({ kind, counts, oldestMs, atMs, undatedAgeMs }, state, oldest) {
  const count = counts?.[state]
  if (!count) return null
  const late = state === 'overdue' && oldestMs !== null && atMs - oldestMs > 5_000
  const level = late || state === 'dead' || state === 'stale' ? (late ? 'is-bad' : 'is-warn') : undefined
  const more =
    state === 'overdue' && oldestMs !== null
      ? `${oldest} ${span(atMs - oldestMs)}`
      : state === 'undated' && undatedAgeMs !== undefined
        ? ago(undatedAgeMs)
        : undefined
  return h('span', {}, link('stuck', { kind, state }, capped(count), { class: level }), more && h('span', { class: 'sub' }, more))
}

function lateness(late) {
  if (!late || late.count === 0) return [null, null, null, null]
  const slow = late.p99Ms > 1_000 ? 'is-warn' : undefined
  return [number(late.count), span(late.p50Ms), h('span', { class: slow }, span(late.p99Ms)), pathsBar(late.paths, late.count)]
}

/** The share of each path; the text says the same. */
function pathsBar(paths, all) {
  const shares = ['alarm', 'event', 'sweep'].map((path) => [path, (paths[path]?.count ?? 0) / all])
  const text = shares
    .filter(([, share]) => share > 0)
    .map(([path, share]) => `${words.paths[path]} ${percent(share)}`)
    .join(' · ')
  let x = 0
  const bars = shares.map(([, share]) => {
    const bar = svg('rect', { x, y: 0, width: 100 * share, height: 8 })
    x += 100 * share
    return bar
  })
  return h(
    'div',
    {},
    svg('svg', { class: 'bar', viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, bars),
    h('span', { class: 'sub' }, text),
  )
}
