// The screen "Order": one order under each rule that knows it, what comes next, and what can be done.

import { h, table } from './dom.js'
import { ago, at, number, span, time, words } from './format.js'
import { errorOf, holder, isGrave } from './lists.js'
import { held } from './now.js'

const IDLE = ['no row', 'not applying', 'no timer']

export function orderScreen(found, { params, can, act, go, actions }) {
  const id = params.get('id') ?? ''
  const input = h('input', { id: 'id', name: 'id', value: id, autocomplete: 'off', spellcheck: 'false', 'data-key': 'id', required: true })
  const submit = (event) => {
    event.preventDefault()
    go('order', { id: input.value.trim() })
  }
  return [
    h('h1', {}, words.screens.order),
    h('p', { class: 'intro' }, words.one.intro),
    h(
      'form',
      { class: 'filters', onsubmit: submit },
      h('div', {}, h('label', { for: 'id' }, words.order), input),
      h('button', { class: 'first' }, words.one.look),
    ),
    found && found.kinds.length === 0 && h('p', { class: 'note' }, words.one.unknown(found.id)),
    found && [...found.kinds].sort((one, other) => idle(one) - idle(other)).map((kind) => card(kind, found.nowMs, can, act)),
    actions && actions.length > 0 && [h('h2', {}, words.one.actions), actionsTable(actions)],
  ]
}

/** Rules that have nothing to do with the order come last. */
function idle({ next }) {
  return IDLE.includes(next) ? 1 : 0
}

function card(order, nowMs, can, act) {
  const { kind, id, next, row, armedMs, failure, reminders, lock, holds, unverified, history, columns, acts, problem, redisProblem } = order
  const deadline = row?.deadline ?? armedMs
  const left = deadline === null || deadline === undefined ? 0 : Math.abs(deadline - (row?.now ?? nowMs))
  const level = {
    dead: 'is-bad',
    stale: 'is-warn',
    braked: 'is-bad',
    'rule held': 'is-warn',
    unverified: 'is-warn',
    overdue: left > 5_000 ? 'is-bad' : undefined,
    retrying: 'is-warn',
    locked: 'is-warn',
  }[next]
  const facts = [
    row?.status && [words.one.status, h('code', {}, row.status)],
    deadline !== null && deadline !== undefined && next !== 'not applying' && [words.deadline, time(deadline)],
    row &&
      !IDLE.includes(next) &&
      next !== 'dead' && [words.one.armed, armedMs === null ? (redisProblem ?? words.one.notArmed) : time(armedMs)],
    failure && [words.one.attempts, number(failure.attempts)],
    ...reminders.map((one) => [one.kind, `${words.states[one.failure.dead ? 'dead' : 'retrying']} · ${one.failure.error}`]),
    lock && [words.one.lock, holder(lock)],
    ...(IDLE.includes(next) ? [] : holds.map((hold) => [words.one.held, held(hold)])),
    unverified && [words.one.verify, answerOf(unverified)],
    ...columns.map(([heading, text]) => [heading, text]),
  ].filter(Boolean)
  return h(
    'section',
    { class: 'card', 'aria-label': kind },
    h('h2', {}, kind, ' ', h('span', { class: 'id' }, id)),
    problem
      ? h('p', { class: 'note bad' }, problem)
      : h('p', { class: `lead ${level ?? ''}` }, words.one.next[next]({ time: span(left), at: deadline ? at(deadline) : '' })),
    h(
      'dl',
      { class: 'facts' },
      facts.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))),
    ),
    failure && [
      h('h3', {}, words.one.lastError, ' · ', ago(Math.max(0, nowMs - Date.parse(failure.at)))),
      errorOf(failure.error, failure.first),
    ],
    can &&
      acts.length > 0 &&
      h(
        'div',
        { class: 'buttons' },
        acts.map((name) =>
          h(
            'button',
            {
              'data-key': `${name} ${kind}`,
              class: isGrave(name) ? 'grave' : undefined,
              onclick: () => act(name, kind, [{ id, deadline: shown(order) }]),
            },
            words.acts[name],
          ),
        ),
      ),
    history.length > 0 && [h('h3', {}, words.one.history), historyTable(history)],
  )
}

/** The last answer of `verify` for it. */
function answerOf({ nextMs, times, answer, error, reference }) {
  const last = error ? words.verify.lastError(error) : words.verify.answer(answer ?? '')
  const more = [words.verify.asked(number(times)), last, reference ?? '', words.verify.next(at(nextMs))]
  return more.filter(Boolean).join(' · ')
}

/** The deadline as the action compares it. For a dead letter it is not compared; null: the order must still have none. */
function shown({ row, armedMs, failure }) {
  if (failure?.dead) return undefined
  return (row ? row.deadline : armedMs) ?? null
}

function historyTable(history) {
  const { settled, change, late, by, reminder } = words.one
  const columns = [
    { head: settled, first: true },
    { head: change },
    { head: words.deadline },
    { head: late, number: true },
    { head: by, text: true },
    { head: words.stuck.error, text: true },
  ]
  const rows = history.map((one) => [
    time(one.settledMs),
    one.reminder ? `${reminder} ${one.reminder}` : `${one.fromStatus ?? ''} → ${one.toStatus ?? ''}`,
    time(one.deadlineMs),
    one.latenessMs === null ? null : span(one.latenessMs),
    h('span', {}, words.paths[one.via] ?? one.via, h('span', { class: 'sub id' }, one.worker)),
    one.error,
  ])
  return table(words.one.history, columns, rows)
}

/** Also the screen "Actions". */
export function actionsTable(actions, link) {
  const { when, who, what, orders, reason, via, ended } = words.did
  const columns = [
    { head: when, first: true },
    { head: who, text: true },
    { head: what },
    { head: words.rule },
    { head: orders, text: true, wide: true },
    { head: ended, text: true },
    { head: reason, text: true },
    { head: via },
  ]
  const rows = actions.map((one) => [
    time(one.at),
    one.actor,
    words.acts[one.action] ?? one.action,
    one.kind,
    ordersOf(one, link),
    h(
      'span',
      { class: { asked: 'is-warn', failed: 'is-bad' }[one.state] },
      words.did.states[one.state] ?? one.state,
      one.error && h('span', { class: 'sub' }, one.error),
    ),
    one.reason,
    one.via,
  ])
  return table(words.screens.actions, columns, rows)
}

function ordersOf({ kind, count, orders }, link) {
  if (orders.length === 0) return count > 0 ? number(count) : null
  const items = orders.map(({ id, outcome, code, before, after }) =>
    h(
      'li',
      {},
      link ? link(kind, id) : h('span', { class: 'id' }, id),
      outcome && outcome !== 'done' && ` ${outcome}${code ? ` ${code}` : ''}`,
      moved(before, after),
    ),
  )
  if (orders.length === 1) return h('ul', { class: 'bare' }, items)
  return h('details', {}, h('summary', {}, number(orders.length)), h('ul', { class: 'bare' }, items))
}

function moved(before, after) {
  if (before === undefined || before === after) return undefined
  const put = (milliseconds) => (milliseconds === null || milliseconds === undefined ? '–' : time(milliseconds))
  return h('span', { class: 'sub' }, put(before), ' → ', put(after))
}
