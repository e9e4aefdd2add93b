// Reads our own columns as numbers and booleans although the shop may have set other parsers (`pg.types.setTypeParser(701, …)`). Instants and ids
// are selected as numbers and text. Columns that become an order's instance are left as the shop's own queries would return them.

import type { Sequelize } from 'sequelize'
import { connectionManagerOf } from './internals.js'
import { booleanOf, numberOf } from './values.js'

interface OwnType {
  sample: string
  value: unknown
  read: (value: unknown) => unknown
}

/** By Postgres's oid: bool, int2, int4, float4, float8. */
const OWN_TYPES = new Map<number, OwnType>([
  [16, { sample: 't', value: true, read: booleanOf }],
  [21, { sample: '7', value: 7, read: numberOf }],
  [23, { sample: '7', value: 7, read: numberOf }],
  [700, { sample: '1.5', value: 1.5, read: numberOf }],
  [701, { sample: '1.5', value: 1.5, read: numberOf }],
])

interface Field {
  name: string
  dataTypeID: number
}

/** Converting a value that already has the right type changes nothing, so large results need no check of the parsers. */
const FEW = 4

/** Converts the values in `rows` to their types, in place; if the rows are orders, only in our own columns. */
export function readOwnTypes(sequelize: Sequelize, rows: readonly unknown[], result: unknown, areOrders: boolean): void {
  if (rows.length === 0) return
  for (const { name, dataTypeID } of (result as { fields?: readonly Field[] }).fields ?? []) {
    const type = OWN_TYPES.get(dataTypeID)
    if (type === undefined || (areOrders && !name.startsWith('order_timers_'))) continue
    if (rows.length > FEW && !isParsedOtherwise(sequelize, dataTypeID, type)) continue
    for (const row of rows as Record<string, unknown>[]) row[name] = type.read(row[name])
  }
}

/** Read each time: a shop may set its parsers at any time. */
function isParsedOtherwise(sequelize: Sequelize, oid: number, { sample, value }: OwnType): boolean {
  try {
    return connectionManagerOf(sequelize).getTypeParser?.(oid, 'text')(sample) !== value
  } catch {
    return true
  }
}
