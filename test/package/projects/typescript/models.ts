import { type CreationOptional, DataTypes, type InferAttributes, type InferCreationAttributes, Model, Sequelize } from 'sequelize'

export const sequelize = new Sequelize({ dialect: 'postgres' })

export class Order extends Model<InferAttributes<Order>, InferCreationAttributes<Order>> {
  declare id: CreationOptional<number>
  declare status: number
  declare note: CreationOptional<string | null>
  declare confirmDueAt: CreationOptional<Date | null>
  declare returnDueAt: CreationOptional<Date | null>
  declare returnLeftMs: CreationOptional<string | null>
  declare returnExtended: CreationOptional<number | null>
  declare createdAt: CreationOptional<Date>
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
