// A row's stored values: those of an instance without the model's getters, and those of a column even if the shop has set other
// parsers (`pg.types.setTypeParser`, `DataTypes.postgres.BIGINT.parse`).

import type { Model, ModelStatic } from 'sequelize'

/** An attribute as it is stored; undefined if the instance was read without it. */
export function storedValue(instance: Model, attribute: string): unknown {
  return (instance as unknown as { dataValues?: Record<string, unknown> }).dataValues?.[attribute]
}

/** Whether an instance has every column of its model; one that was read with `attributes` has not. */
export function isWhole(instance: Model): boolean {
  const { rawAttributes } = instance.constructor as ModelStatic<Model>
  return Object.entries(rawAttributes).every(([name, { type }]) => isVirtual(type) || storedValue(instance, name) !== undefined)
}

/**
 * Gives an instance what its row has now in these attributes. Others that it has changed keep what they were before: `set` with `raw: true` would
 * forget that.
 */
export function refresh(instance: Model, attributes: Record<string, unknown>): void {
  const { dataValues, _previousDataValues: previous } = instance as unknown as { dataValues: object; _previousDataValues: object }
  Object.assign(dataValues, attributes)
  Object.assign(previous, attributes)
  for (const name of Object.keys(attributes)) instance.changed(name as never, false)
}

function isVirtual(type: unknown): boolean {
  return (type as { key?: string }).key === 'VIRTUAL'
}

/** A number that Postgres returned, as a number or as text; null for NULL. */
export function numberOf(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value)
}

/** A boolean that Postgres returned; null for NULL. */
export function booleanOf(value: unknown): boolean | null {
  if (value === null || value === undefined) return null
  return typeof value === 'string' ? value === 't' || value === 'true' : Boolean(value)
}
