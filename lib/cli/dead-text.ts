// The output of `order-timers dead`, `retry` and `discard` for people.

import type { Retried } from '../admin/dead-letters.js'
import type { DeadLetter } from '../types.js'
import { oneLine } from './one-line.js'
import { grouped, table } from './table.js'

export function deadText(letters: readonly DeadLetter[]): string {
  if (letters.length === 0) return 'there are no dead letters'
  const rows = letters.map(({ kind, id, attempts, at, error }) => [kind, id, attempts, at.toISOString(), error])
  return table(['rule', 'order', 'attempts', 'last failed', 'error'], rows).join('\n')
}

export function retryText({ kind, retried, notDead }: Retried): string {
  const orders = retried.length === 1 ? '1 order is' : `${grouped(retried.length)} orders are`
  return [
    retried.length === 0 ? `${kind}: nothing was put back` : `${kind}: ${orders} due now, with all attempts`,
    ...notDead.map(({ id, why }) => `${kind} ${oneLine(id)}: ${oneLine(why)}`),
  ].join('\n')
}

export function discardText(kind: string, discarded: readonly string[], kept: Retried['notDead']): string {
  const letters = discarded.length === 1 ? '1 dead letter' : `${grouped(discarded.length)} dead letters`
  return [
    discarded.length === 0 ? `${kind}: nothing was dropped` : `${kind}: ${letters} dropped`,
    ...kept.map(({ id, why }) => `${kind} ${oneLine(id)}: ${oneLine(why)}`),
  ].join('\n')
}
