// The shop's orders, the same for every system: the table, the model and the handler that a peer's job calls.
// Status 4 is shipped, 5 is confirmed.
import { type CreationOptional, DataTypes, type InferAttributes, type InferCreationAttributes, Model, Sequelize } from 'sequelize'

export const SHIPPED = 4
export const CONFIRMED = 5

export class Order extends Model<InferAttributes<Order>, InferCreationAttributes<Order>> {
  declare id: CreationOptional<number>
  declare userId: number
  declare total: string
  declare status: number
  declare note: string | null
  declare confirmDueAt: Date | null
  declare createdAt: CreationOptional<Date>
  declare updatedAt: CreationOptional<Date>
}

/** Connections to Postgres in each process of each system. */
const POOL = 20

export function openOrders(databaseUrl: string): Sequelize {
  const sequelize = new Sequelize(databaseUrl, { logging: false, pool: { max: POOL, min: 0, idle: 60_000 } })
  Order.init(
    {
      id: { type: DataTypes.INTEGER, autoIncrement: true, primaryKey: true },
      userId: { type: DataTypes.INTEGER, allowNull: false },
      total: { type: DataTypes.DECIMAL(10, 2), allowNull: false },
      status: { type: DataTypes.INTEGER, allowNull: false },
      note: { type: DataTypes.TEXT },
      confirmDueAt: { type: DataTypes.DATE },
      createdAt: { type: DataTypes.DATE },
      updatedAt: { type: DataTypes.DATE },
    },
    { sequelize, tableName: 'orders', indexes: [{ fields: ['status', 'confirmDueAt'] }] },
  )
  return sequelize
}

/** What a peer's job does. */
export function confirm(id: number): Promise<unknown> {
  return Order.update({ status: CONFIRMED }, { where: { id, status: SHIPPED } })
}
