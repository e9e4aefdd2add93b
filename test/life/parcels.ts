// The orders of the tests under test/life: parcels, with a column for whatever a rule may keep on a row, in a shop of a test's own that has the
// history's and the brakes' tables.

import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type ModelStatic,
  type Sequelize,
} from 'sequelize'
import type { Rules, WorkerEvents } from '../../lib/index.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { openShop, type Shop, type ShopOptions, type TestWorker } from '../support/shop.js'

export class Parcel extends Model<InferAttributes<Parcel>, InferCreationAttributes<Parcel>> {
  declare id: CreationOptional<number>
  declare status: CreationOptional<number>
  declare dueAt: CreationOptional<Date | null>
  declare leftMs: CreationOptional<string | number | null>
  declare extended: CreationOptional<number | null>
  declare disputeOpen: CreationOptional<boolean | null>
  declare isPaid: CreationOptional<boolean>
  declare country: CreationOptional<string>
  declare placedAt: CreationOptional<Date | null>
  declare deletedAt: CreationOptional<Date | null>
}

export type Parcels = ModelStatic<Parcel>

export function defineParcel(sequelize: Sequelize): Parcels {
  class OwnParcel extends Parcel {}
  return OwnParcel.init(
    {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      status: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 4 },
      dueAt: DataTypes.DATE,
      leftMs: { type: DataTypes.BIGINT, field: 'left_ms' },
      extended: DataTypes.INTEGER,
      disputeOpen: { type: DataTypes.BOOLEAN, field: 'dispute_open' },
      isPaid: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
      country: { type: DataTypes.STRING, allowNull: false, defaultValue: 'TW' },
      placedAt: { type: DataTypes.DATE, defaultValue: DataTypes.NOW },
      deletedAt: DataTypes.DATE,
    },
    { sequelize, modelName: 'Parcel', tableName: 'parcels', updatedAt: false, createdAt: false, paranoid: true, timestamps: true },
  )
}

/** One row of the history, without what differs from run to run. */
export interface HistoryRow {
  kind: string
  order_id: string
  reminder: string
  from_status: string | null
  to_status: string | null
  deadline: Date | null
  lateness_ms: number | null
  via: string
  worker: string
  attempts: number
  next_try: Date | null
  error: string | null
}

export interface ParcelShop<R extends Rules> extends Shop<R> {
  readonly Parcel: Parcels
  /** Inserts a parcel whose deadline is so many milliseconds away, and returns its id. */
  parcel(dueInMs?: number | null, values?: object): Promise<number>
  find(id: number): Promise<Parcel>
  history(): Promise<HistoryRow[]>
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>
}

export async function openParcels<const R extends Rules>(
  makeRules: (Parcel: Parcels, sequelize: Sequelize) => R,
  options: ShopOptions = {},
): Promise<ParcelShop<R>> {
  let Parcel: Parcels | undefined
  const shop = await openShop(({ sequelize }) => {
    Parcel = defineParcel(sequelize)
    return makeRules(Parcel, sequelize)
  }, options)
  const model = Parcel as unknown as Parcels
  await model.sync()
  const { client } = shop.database
  for (const sql of [...History.createSql(HISTORY_TABLE), ...Brake.createSql(BRAKE_TABLE)]) await client.query(sql)
  return {
    ...shop,
    Parcel: model,
    async parcel(dueInMs = null, values = {}) {
      const dueAt = dueInMs === null ? null : new Date(Date.now() + dueInMs)
      return (await model.create({ dueAt, ...values })).id
    },
    find: (id) => model.findByPk(id, { rejectOnEmpty: true, paranoid: false }),
    history: async () => (await client.query(`SELECT * FROM ${HISTORY_TABLE} ORDER BY id`)).rows,
    sql: async (text, values) => (await client.query(text, values)).rows,
  }
}

type Told = { [E in keyof WorkerEvents]?: WorkerEvents[E][] }

/** Everything that a worker tells from now on, by event. */
export function heard<E extends keyof WorkerEvents>(worker: TestWorker, ...events: E[]): { [K in E]: WorkerEvents[K][0][] } {
  const told: Told = {}
  for (const event of events) {
    const list: unknown[] = []
    Object.assign(told, { [event]: list })
    worker.on(event, ((payload: unknown) => list.push(payload)) as never)
  }
  return told as never
}

export const EVERY_SECOND = { fallback: '* * * * * *' } as const
