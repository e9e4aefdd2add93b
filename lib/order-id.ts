// The order that a call is about, given as an instance or as an id, turned into its id's canonical text.

import type { Model } from 'sequelize'
import { OrderTimersError, show } from './errors.js'
import type { BoundRule } from './rules/rule.js'
import type { OrderOrId } from './types.js'

export function idOf(rule: BoundRule, order: OrderOrId): string {
  const id = rule.parseId(plainId(rule, order))
  if (id !== null) return id
  throw invalidId(rule.kind, order, rule)
}

export function plainId(rule: BoundRule, order: OrderOrId): unknown {
  if (!isInstance(order)) return order
  const { model } = rule.row?.guard.table ?? {}
  const attribute = model?.primaryKeyAttribute ?? (order.constructor as { primaryKeyAttribute?: string }).primaryKeyAttribute
  return order.get(attribute as string)
}

export function invalidId(kind: string, order: OrderOrId, rule?: BoundRule): OrderTimersError {
  const { table } = rule?.row?.guard ?? {}
  const expected = table ? `an id of ${table.model.name}.${table.idAttribute}'s type, or an instance of ${table.model.name}` : 'an id'
  return new OrderTimersError(
    'INVALID_ID',
    `orderTimers: ${kind}: the order must be ${expected}, got ${show(isInstance(order) ? order.get() : order)}`,
  )
}

export function isInstance(order: unknown): order is Model {
  return order !== null && typeof order === 'object' && typeof (order as { get?: unknown }).get === 'function'
}
