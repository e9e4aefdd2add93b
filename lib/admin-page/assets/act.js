// The dialog of an action: what it does, the orders, a reason; and then the outcome for each order.

import { h } from './dom.js'
import { at, number, words } from './format.js'

const LISTED = 12
const OUTCOMES = ['done', 'skipped', 'refused', 'failed']

/**
 * @param orders with the deadlines that were shown
 * @param about of `release`: `stoppedSince` or `heldSince`, as it was shown, and whether a hold's end can move deadlines (`shiftable`)
 * @returns when the dialog is closed: whether something was sent
 */
export function ask(action, kind, orders, { stoppedSince, heldSince, shiftable } = {}) {
  const { form } = words
  const by = action === 'extend' ? h('input', { id: 'by', name: 'by', value: '24h', required: true, autocomplete: 'off' }) : undefined
  const end = heldSince === undefined ? undefined : endOf(shiftable)
  const isNeeded = action === 'hold' || action === 'settle unverified'
  const why = action === 'hold' ? form.why : isNeeded ? form.needed : form.reason
  const reason = h('input', { id: 'reason', name: 'reason', maxlength: 500, required: isNeeded, autocomplete: 'off' })
  const meant = heldSince === undefined ? action : 'releaseHold'
  const body = h('div', {})
  const title = h('h2', { id: 'asked' }, words.ask[meant](number(orders.length), kind))
  const dialog = h('dialog', { 'aria-labelledby': 'asked' }, title, body)
  let sent = false

  const send = async (event) => {
    event.preventDefault()
    sent = true
    body.replaceChildren(h('p', { role: 'status' }, form.working))
    const result = await post({ action, kind, orders, by: by?.value, ...end?.wish(), reason: reason.value, stoppedSince, heldSince })
    body.replaceChildren(
      ...result,
      h('div', { class: 'buttons' }, h('button', { class: 'first', autofocus: true, onclick: () => dialog.close() }, form.close)),
    )
    body.querySelector('button')?.focus()
  }
  const shown = orders.slice(0, LISTED)
  body.append(
    h('p', {}, words.means[meant]),
    orders.length > 0 &&
      h(
        'ul',
        {},
        shown.map(({ id }) => h('li', {}, h('span', { class: 'id' }, `${kind} ${id}`))),
        orders.length > LISTED && h('li', {}, form.andMore(number(orders.length - LISTED))),
      ),
    h(
      'form',
      { onsubmit: send },
      by && [h('label', { for: 'by' }, form.by), by],
      end?.fields,
      h('label', { for: 'reason' }, why),
      reason,
      h(
        'div',
        { class: 'buttons' },
        h('button', { class: 'first' }, form.goOn),
        h('button', { type: 'button', onclick: () => dialog.close() }, form.stop),
      ),
    ),
  )
  for (const child of [...body.childNodes]) if (child.nodeType === Node.TEXT_NODE) child.remove()
  document.body.append(dialog)
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(sent)
    })
  })
}

/** What happens to the deadlines when a hold ends. */
function endOf(shiftable) {
  const { ends } = words.form
  const offered = Object.entries(ends.choices).filter(([end]) => end !== 'shift' || shiftable)
  const grace = h('input', { id: 'grace', name: 'grace', value: '30m', required: true, autocomplete: 'off' })
  const graceField = h('div', { hidden: true }, h('label', { for: 'grace' }, ends.grace), grace)
  const change = () => {
    graceField.hidden = choice.value !== 'grace'
    grace.disabled = choice.value !== 'grace'
  }
  const choice = h(
    'select',
    { id: 'end', name: 'end', onchange: change },
    offered.map(([end, text]) => h('option', { value: end }, text)),
  )
  change()
  return {
    fields: [h('label', { for: 'end' }, ends.label), choice, graceField],
    wish: () => ({ end: choice.value === 'none' ? undefined : choice.value, by: choice.value === 'grace' ? grace.value : undefined }),
  }
}

async function post(wish) {
  const { form } = words
  try {
    const answer = await fetch('act', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(wish),
      credentials: 'same-origin',
    })
    const said = await answer.json()
    if (!answer.ok)
      return [
        h(
          'p',
          { class: 'note bad', role: 'alert' },
          isUnknown(answer.status, said.error?.code)
            ? form.unknown(said.error?.message ?? answer.status)
            : form.notDone(said.error?.message ?? answer.status),
        ),
      ]
    return ended(said)
  } catch (error) {
    return [h('p', { class: 'note bad', role: 'alert' }, form.unknown(error.message))]
  }
}

/** No answer, an answer of a proxy, or one that says so: the action may have been carried out. */
function isUnknown(status, code = '') {
  return code.endsWith('OUTCOME_UNKNOWN') || code === 'FAILED' || code === '' || status === 500
}

function ended({ orders = [], record, wasStopped, stoppedAgain, next, hold, stopped }) {
  const { form } = words
  const groups = OUTCOMES.map((outcome) => [outcome, orders.filter((one) => one.outcome === outcome)]).filter(([, of]) => of.length > 0)
  return [
    hold && h('p', { role: 'status' }, form.holds[hold.state](hold.opensAtMs === null ? '' : at(hold.opensAtMs), number(hold.moved))),
    hold?.more && h('p', { class: 'sub', lang: 'en' }, hold.more),
    wasStopped !== undefined &&
      h('p', { role: 'status' }, stoppedAgain ? form.stoppedAgain : form.released(wasStopped), ' ', stoppedAgain ? '' : next),
    groups.length > 0 &&
      h('p', { role: 'status', class: 'outcome' }, groups.map(([outcome, of]) => form.outcomes[outcome](number(of.length))).join(' · ')),
    groups.filter(([outcome]) => outcome !== 'done').length > 0 &&
      h(
        'ul',
        {},
        groups.flatMap(([outcome, of]) =>
          outcome === 'done' ? [] : of.map(({ id, why, code }) => h('li', {}, h('span', { class: 'id' }, id), `: ${why ?? code ?? ''}`)),
        ),
      ),
    stopped && h('p', { class: 'note', role: 'status', lang: 'en' }, stopped),
    record && h('p', { class: 'sub' }, form.recorded(record)),
  ].filter(Boolean)
}
