// The smallest shop's one model, as shops have it: an order with an integer status. `confirmDueAt` is all that the timers add to the table.

import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type ModelStatic,
  Sequelize,
} from 'sequelize'

export const CANCELLED = 0
export const PLACED = 1
export const PAID = 2
export const SHIPPED = 4
export const COMPLETED = 5

export class Order extends Model<InferAttributes<Order>, InferCreationAttributes<Order>> {
  declare id: CreationOptional<number>
  declare item: string
  declare status: CreationOptional<number>
  declare confirmDueAt: CreationOptional<Date | null>
  declare createdAt: CreationOptional<Date>
  declare updatedAt: CreationOptional<Date>
}

export interface Database {
  sequelize: Sequelize
  Order: ModelStatic<Order>
}

export function connectDatabase(url: string, schema: string): Database {
  const sequelize = new Sequelize(url, { logging: false, define: { schema } })
  return { sequelize, Order: defineOrder(sequelize) }
}

/** As the owner of the tables. */
export async function createTables({ sequelize }: Database, schema: string): Promise<void> {
  await sequelize.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`)
  await sequelize.sync()
}

function defineOrder(sequelize: Sequelize): ModelStatic<Order> {
  return class extends Order {}.init(
    {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      item: { type: DataTypes.STRING(100), allowNull: false },
      status: { type: DataTypes.INTEGER, allowNull: false, defaultValue: PLACED },
      confirmDueAt: { type: DataTypes.DATE },
      createdAt: { type: DataTypes.DATE, allowNull: false },
      updatedAt: { type: DataTypes.DATE, allowNull: false },
    },
    {
      sequelize,
      modelName: 'Order',
      tableName: 'orders',
      indexes: [{ fields: ['createdAt'], where: { status: PLACED } }, { fields: ['confirmDueAt'] }],
    },
  )
}
