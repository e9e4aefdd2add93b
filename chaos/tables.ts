// The tables of the chaos run's shop, as Sequelize models: ids of each type, statuses of each type, what each rule keeps on its rows.

import { type Attributes, DataTypes, Model, type ModelAttributes, type ModelStatic, type Sequelize } from 'sequelize'

/** A row of any of these tables. The shop writes `wish` in each of its own statements. */
export class ShopRow extends Model {
  declare id: number | string
  declare wish: number
  declare status: number | string
}

export type Rows = ModelStatic<ShopRow>

export class Order extends ShopRow {
  declare confirmDueAt: Date | null
}
export class Rental extends ShopRow {
  declare hookSeen: boolean
}
export class Coupon extends ShopRow {
  declare fails: boolean
}

export interface Tables {
  orders: ModelStatic<Order>
  parcels: Rows
  rentals: ModelStatic<Rental>
  carts: Rows
  coupons: ModelStatic<Coupon>
}

export type TableName = keyof Tables
export const TABLES: readonly TableName[] = ['orders', 'parcels', 'rentals', 'carts', 'coupons']

// Sequelize writes into what it is given, so each column has a definition of its own.
const no = () => ({ type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false })

export function defineTables(sequelize: Sequelize): Tables {
  const define = <M extends ShopRow>(Base: ModelStatic<M>, name: string, attributes: object, options: object = {}): ModelStatic<M> => {
    const Class = class extends (Base as ModelStatic<Model>) {} as unknown as ModelStatic<M> & typeof Model
    const all = { ...attributes, wish: { type: DataTypes.INTEGER, allowNull: false } } as ModelAttributes<M, Attributes<M>>
    return Class.init(all as never, { sequelize, modelName: name, timestamps: false, ...options } as never) as unknown as ModelStatic<M>
  }
  const status = (type: object) => ({ status: { type, allowNull: false } })
  return {
    orders: define(
      Order,
      'Order',
      {
        id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
        ...status(DataTypes.INTEGER),
        confirmDueAt: DataTypes.DATE,
        confirmLeftMs: DataTypes.BIGINT,
        confirmExtended: DataTypes.INTEGER,
        confirmedBy: DataTypes.STRING,
        packDueAt: DataTypes.DATE,
        pickupDueAt: DataTypes.DATE,
      },
      { tableName: 'orders', timestamps: true },
    ),
    parcels: define(
      ShopRow,
      'Parcel',
      {
        id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
        ...status(DataTypes.ENUM('ordered', 'sent', 'arrived', 'closed', 'lost')),
        arriveAt: DataTypes.DATE,
        closeAt: DataTypes.DATE,
        closeLeftMs: DataTypes.BIGINT,
        disputed: no(),
      },
      { tableName: 'parcels' },
    ),
    rentals: define(
      Rental,
      'Rental',
      {
        id: { type: DataTypes.UUID, primaryKey: true, defaultValue: DataTypes.UUIDV4 },
        ...status(DataTypes.STRING),
        endsAt: DataTypes.DATE,
        endsLeftMs: DataTypes.BIGINT,
        endsExtendedMs: DataTypes.BIGINT,
        disputed: no(),
        hookSeen: no(),
        claimBy: DataTypes.DATE,
      },
      {
        tableName: 'rentals',
        hooks: {
          // Hooks see the settlement where the rule has `individualHooks`, and nowhere else.
          beforeUpdate: (rental: Rental) => {
            if (rental.status === 'back') rental.hookSeen = true
          },
        },
      },
    ),
    carts: define(
      ShopRow,
      'Cart',
      { id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true }, isPaid: no() },
      { tableName: 'carts', timestamps: true, updatedAt: false, paranoid: true },
    ),
    coupons: define(
      Coupon,
      'Coupon',
      {
        id: { type: DataTypes.STRING(40), primaryKey: true },
        ...status(DataTypes.STRING),
        issuedAt: DataTypes.DATE,
        expiresAt: DataTypes.DATE,
        voidAt: DataTypes.DATE,
        purgeAt: DataTypes.DATE,
        billAt: DataTypes.DATE,
        lapseAt: DataTypes.DATE,
        trialAt: DataTypes.DATE,
        fails: no(),
        byPost: no(),
        hidden: no(),
      },
      // The default scope narrows no rule; the other one is chosen by a rule.
      { tableName: 'coupons', defaultScope: { where: { hidden: false } }, scopes: { byPost: { where: { byPost: true } } } },
    ),
  }
}
