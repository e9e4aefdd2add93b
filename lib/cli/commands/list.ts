// `order-timers list`.

import { ageText } from '../../admin/age-text.js'
import { LISTED_STATES, listOrders, MOST_LISTED, type OrderList } from '../../admin/order-list.js'
import { type Command, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { oneLine } from '../one-line.js'
import { table } from '../table.js'
import { UsageError } from '../usage-error.js'

const LIMIT = 50

export const listCommand: Command = {
  usage: 'list KIND [--state STATE] [--limit N] [--after PLACE] [--json]',
  help: `a rule's orders by deadline, by default the next ${LIMIT} to come due; STATE is one of ${LISTED_STATES.join(', ')}; prints the command for the next page`,
  example: 'order-timers list order_confirm --state overdue --limit 200',
  options: { ...MODULE_OPTION, ...JSON_OPTION, state: { type: 'string' }, limit: { type: 'string' }, after: { type: 'string' } },
  positionals: ['KIND'],
  check: ({ values }) => void (stateOf(values.state) && limitOf(values.limit)),
  async run({ runtime, positionals, values, print }) {
    const [kind = ''] = positionals
    const query = { state: stateOf(values.state), limit: limitOf(values.limit), after: values.after as string | undefined }
    const list = await listOrders(runtime, kind, query)
    print(values.json ? json(list) : listText(list, query.limit))
    return OK
  },
}

function listText({ kind, state, orders, next, now }: OrderList, limit: number): string {
  const more = `order-timers list ${kind}${state === 'pending' ? '' : ` --state ${state}`}${limit === LIMIT ? '' : ` --limit ${limit}`} --after ${quoted(next ?? '')}`
  const rows = orders.map(({ id, deadline }) => [id, deadline?.toISOString() ?? 'infinity', deadline ? whenText(deadline, now) : '-'])
  return [
    ...(orders.length === 0
      ? [`${kind}: no order is ${state}${next === null ? '' : ' on this page'}`]
      : table(['order', 'deadline', 'due'], rows)),
    ...(next === null ? [] : ['', `more: ${more}`]),
  ].join('\n')
}

function whenText(deadline: Date, now: Date): string {
  const inMs = deadline.getTime() - now.getTime()
  return inMs > 0 ? `in ${ageText(inMs)}` : `${ageText(-inMs)} ago`
}

/** Quoted for a shell, if necessary. */
function quoted(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : `'${oneLine(text).replaceAll("'", `'\\''`)}'`
}

function stateOf(given: unknown): (typeof LISTED_STATES)[number] {
  const state = LISTED_STATES.find((one) => one === (given ?? 'pending'))
  if (state) return state
  throw new UsageError(`--state must be one of ${LISTED_STATES.join(', ')}, got ${JSON.stringify(given)}`)
}

function limitOf(given: unknown): number {
  if (given === undefined) return LIMIT
  const limit = Number(given)
  if (/^\d+$/.test(String(given)) && limit >= 1 && limit <= MOST_LISTED) return limit
  throw new UsageError(`--limit must be a whole number from 1 to 10,000, got ${JSON.stringify(given)}`)
}
