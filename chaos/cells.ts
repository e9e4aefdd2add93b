// Fault × feature: how many orders of each feature were pending or in motion while a fault bit. A cell without orders says that the two have
// never met.

import type { Feature, Histories } from './history.js'
import type { DoneFault } from './nemesis.js'

export type Cells = Record<string, Partial<Record<Feature, number>>>

interface Span {
  features: Set<Feature>
  from: number
  to: number
}

/** One order's row, or one timer's id where the rule has no table. */
type OrderName = string

export function countCells(faults: readonly DoneFault[], spans: Iterable<Span>): Cells {
  const cells: Cells = {}
  const bit = faults.filter(({ bites }) => bites > 0)
  for (const { features, from, to } of spans) {
    for (const kind of new Set(bit.filter(({ beganAt, endedAt }) => from <= endedAt && to >= beganAt).map((fault) => fault.kind))) {
      cells[kind] ??= {}
      const row = cells[kind]
      for (const feature of features) row[feature] = (row[feature] ?? 0) + 1
    }
  }
  return cells
}

/** Each order from the first to the last that is known of it. */
export function orderSpans({ rules, wishes, changes, deliveries }: Histories): Map<OrderName, Span> {
  const spans = new Map<OrderName, Span>()
  const featuresOf = new Map(rules.map(({ kind, features }) => [kind, features]))
  const seen = (name: OrderName, from: number, to: number, features: readonly Feature[]): void => {
    const span = spans.get(name)
    if (span === undefined) {
      spans.set(name, { features: new Set(features), from, to })
      return
    }
    span.from = Math.min(span.from, from)
    span.to = Math.max(span.to, to)
    for (const feature of features) span.features.add(feature)
  }
  for (const { table, kind, id, feature, invokedAt, completedAt } of wishes) {
    if (id === null) continue
    const to = Number.isFinite(completedAt) ? completedAt : invokedAt
    seen(`${table ?? kind} ${id}`, invokedAt, to, [feature, ...(featuresOf.get(kind) ?? [])])
  }
  for (const { table, id, trueAt } of changes) seen(`${table} ${id}`, trueAt, trueAt, [])
  for (const { what, kind, id, at } of deliveries) if (what === 'handler') seen(`${kind} ${id}`, at, at, [])
  return spans
}

/** The cells as text, features down and faults across in rows of their own. */
export function cellsText(cells: Cells, features: readonly Feature[]): string {
  const kinds = Object.keys(cells).sort()
  const width = Math.max(0, ...kinds.map((kind) => kind.length))
  const columns = features.map((feature) => ({ feature, width: Math.max(feature.length, 6) }))
  const head = `${' '.repeat(width)}  ${columns.map(({ feature, width: wide }) => feature.padStart(wide)).join(' ')}`
  const lines = kinds.map((kind) => {
    const counts = columns.map(({ feature, width: wide }) => String(cells[kind]?.[feature] ?? '·').padStart(wide))
    return `${kind.padEnd(width)}  ${counts.join(' ')}`
  })
  return [head, ...lines].join('\n')
}
