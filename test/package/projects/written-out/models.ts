// What `InferAttributes` would infer, written out.

import { DataTypes, Model, Sequelize } from 'sequelize'

export const sequelize = new Sequelize({ dialect: 'postgres' })

interface OrderAttributes {
  id: number
  status: number
  note: string | null
  confirmDueAt: Date | null
  returnDueAt: Date | null
  returnLeftMs: string | null
  returnExtended: number | null
  createdAt: Date
}

type NewOrder = Pick<OrderAttributes, 'status'> & Partial<OrderAttributes>

export class Order extends Model<OrderAttributes, NewOrder> implements OrderAttributes {
  declare id: number
  declare status: number
  declare note: string | null
  declare confirmDueAt: Date | null
  declare returnDueAt: Date | null
  declare returnLeftMs: string | null
  declare returnExtended: number | null
  declare createdAt: Date
}

Order.init(
  {
    id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
    status: { type: DataTypes.INTEGER, allowNull: false },
    note: DataTypes.STRING,
    confirmDueAt: DataTypes.DATE,
    returnDueAt: DataTypes.DATE,
    returnLeftMs: DataTypes.BIGINT,
    returnExtended: DataTypes.INTEGER,
    createdAt: DataTypes.DATE,
  },
  { sequelize },
)
