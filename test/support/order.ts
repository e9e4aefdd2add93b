// The order that the tests' shop has: a status (1 to pay, 2 paid, 4 shipped, 5 confirmed, 0 cancelled) and a deadline of its own.

import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type ModelStatic,
  type Sequelize,
} from 'sequelize'

export class OrderRow extends Model<InferAttributes<OrderRow>, InferCreationAttributes<OrderRow>> {
  declare id: CreationOptional<number>
  declare userId: CreationOptional<number>
  declare total: CreationOptional<number>
  declare status: CreationOptional<number>
  declare note: CreationOptional<string | null>
  declare confirmDueAt: CreationOptional<Date | null>
  declare createdAt: CreationOptional<Date>
  declare updatedAt: CreationOptional<Date>
}

/** The table, as the model would have it. `sync()` asks the catalogue for each table's indexes, which costs more than the rest of a schema. */
export const CREATE_ORDERS = `
  CREATE TABLE orders (id serial PRIMARY KEY, "userId" int NOT NULL DEFAULT 1, total int NOT NULL DEFAULT 100, status int NOT NULL DEFAULT 1,
    note varchar(255), "confirmDueAt" timestamptz, "createdAt" timestamptz NOT NULL, "updatedAt" timestamptz NOT NULL);`

/** A class of its own for each Sequelize, since a model belongs to one connection. */
export function defineOrder(sequelize: Sequelize): ModelStatic<OrderRow> {
  class Order extends OrderRow {}
  return Order.init(
    {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      userId: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
      total: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 100 },
      status: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
      note: { type: DataTypes.STRING },
      confirmDueAt: { type: DataTypes.DATE },
      createdAt: { type: DataTypes.DATE, allowNull: false },
      updatedAt: { type: DataTypes.DATE, allowNull: false },
    },
    { sequelize, modelName: 'Order', tableName: 'orders' },
  )
}
