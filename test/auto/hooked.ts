// The model that the tests of `auto` hook: two deadlines over one status, and everything else that a rule may write.

import { type CreationOptional, DataTypes, type InferAttributes, type InferCreationAttributes, Model, type ModelStatic } from 'sequelize'
import { type Rules, transition } from '../../lib/index.js'
import { armed } from '../support/armed.js'
import type { Database } from '../support/database.js'
import { openShop, type Shop, type ShopOptions } from '../support/shop.js'

export const HOUR_MS = 3_600_000

export class HookedRow extends Model<InferAttributes<HookedRow>, InferCreationAttributes<HookedRow>> {
  declare id: CreationOptional<number>
  declare state: CreationOptional<number>
  declare note: CreationOptional<string | null>
  declare dueAt: CreationOptional<Date | null>
  declare payBy: CreationOptional<Date | null>
  declare keptMs: CreationOptional<string | null>
  declare extended: CreationOptional<number | null>
  declare createdAt: CreationOptional<Date>
  declare updatedAt: CreationOptional<Date>
}

export function defineHooked(
  { sequelize }: Pick<Database, 'sequelize'>,
  options: object = {},
  attributes: object = {},
): ModelStatic<HookedRow> {
  class Hooked extends HookedRow {}
  return Hooked.init(
    {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      state: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1, field: 'State Code' },
      note: DataTypes.STRING,
      dueAt: { type: DataTypes.DATE, field: "due-at 'soon' $1" },
      payBy: DataTypes.DATE,
      keptMs: DataTypes.BIGINT,
      extended: DataTypes.INTEGER,
      createdAt: { type: DataTypes.DATE, allowNull: false },
      updatedAt: { type: DataTypes.DATE, allowNull: false },
      ...attributes,
    },
    { sequelize, modelName: 'Hooked', tableName: 'hooked US$1', ...options },
  )
}

export const CONFIRM = { status: 'state', from: [4, 6], to: 5, deadline: 'dueAt', after: '24h', auto: true } as const
export const PAY = { status: 'state', from: 1, to: 0, deadline: 'payBy', after: '1h', auto: true } as const

export interface HookedShop extends Shop<Rules> {
  Hooked: ModelStatic<HookedRow>
  /** The deadline on the row, and what is armed for it, in whole hours from now. */
  timerOf(id: number, kind?: string): Promise<{ row: number | null; armed: number | null }>
}

export interface HookedOptions extends ShopOptions {
  confirm?: object
  pay?: object
  rules?: (model: ModelStatic<HookedRow>) => Rules
  model?: object
  attributes?: object
}

export async function openHooked(options: HookedOptions = {}): Promise<HookedShop> {
  const { confirm = {}, pay = {}, model = {}, attributes = {}, rules = () => ({}), ...more } = options
  let Hooked!: ModelStatic<HookedRow>
  const shop = await openShop((database) => {
    Hooked = defineHooked(database, model, attributes)
    return {
      confirm: transition(Hooked, { ...CONFIRM, ...confirm } as never),
      pay: transition(Hooked, { ...PAY, ...pay } as never),
      ...rules(Hooked),
    } as Rules
  }, more)
  await Hooked.sync()
  const hours = (instant: number | null) => (instant === null ? null : Math.round((instant - Date.now()) / HOUR_MS) + 0)
  const timerOf: HookedShop['timerOf'] = async (id, kind = 'confirm') => {
    const row = await Hooked.unscoped().findByPk(id, { rejectOnEmpty: true, paranoid: false })
    const { due } = await armed(shop.redis, kind, id)
    return { row: hours((kind === 'confirm' ? row.dueAt : row.payBy)?.getTime() ?? null), armed: hours(due) }
  }
  return Object.assign(shop, { Hooked, timerOf })
}
