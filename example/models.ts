// The shop's one table that the timers know. They add `confirmDueAt`, when it confirms itself, and `confirmLeftMs`, what is left of that while
// a dispute is open.

import { type CreationOptional, DataTypes, type InferAttributes, type InferCreationAttributes, Model, Sequelize } from 'sequelize'
import { config } from './config.js'

export const CANCELLED = 0
export const PLACED = 1
export const PAID = 2
export const SHIPPED = 4
export const COMPLETED = 5

export const sequelize = new Sequelize(config.databaseUrl, { logging: false, define: { schema: config.schema } })

export class Order extends Model<InferAttributes<Order>, InferCreationAttributes<Order>> {
  declare id: CreationOptional<number>
  /** Whose cookie it was placed with. */
  declare buyer: string
  declare items: string
  declare total: number
  declare status: CreationOptional<number>
  declare disputeOpen: CreationOptional<boolean>
  /** Who moved it last by hand: `buyer`, `staff` or `payment service`. */
  declare movedBy: CreationOptional<string | null>
  declare confirmDueAt: CreationOptional<Date | null>
  declare confirmLeftMs: CreationOptional<string | null>
  declare createdAt: CreationOptional<Date>
  declare updatedAt: CreationOptional<Date>
}

Order.init(
  {
    id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
    buyer: { type: DataTypes.STRING(36), allowNull: false },
    items: { type: DataTypes.STRING(200), allowNull: false },
    total: { type: DataTypes.INTEGER, allowNull: false },
    status: { type: DataTypes.INTEGER, allowNull: false, defaultValue: PLACED },
    disputeOpen: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
    movedBy: { type: DataTypes.STRING(20) },
    confirmDueAt: { type: DataTypes.DATE },
    confirmLeftMs: { type: DataTypes.BIGINT },
    createdAt: DataTypes.DATE,
    updatedAt: DataTypes.DATE,
  },
  {
    sequelize,
    tableName: 'shop_orders',
    indexes: [
      { fields: ['createdAt', 'id'], where: { status: PLACED } },
      { fields: ['confirmDueAt', 'id'], where: { status: SHIPPED } },
      { fields: ['buyer'] },
    ],
  },
)
