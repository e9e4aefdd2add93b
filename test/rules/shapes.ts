// The shapes that shops' tables have, for the suite that is run over each of them (shapes.test.ts). A shape says how its model differs from
// the plain one: an integer `id`, an integer `status`, `dueAt`, `placedAt` and timestamps.

import {
  DataTypes,
  fn,
  literal,
  type Model,
  type ModelAttributes,
  type ModelOptions,
  type ModelStatic,
  Op,
  type Sequelize,
  where,
} from 'sequelize'
import * as Decorated from 'sequelize-typescript'
import type { Database } from '../support/database.js'

type Status = number | string

export interface Statuses {
  placed: Status
  paid: Status
  shipped: Status
  confirmed: Status
  cancelled: Status
}

export interface Shape {
  title: string
  attributes?: (database: Database) => ModelAttributes
  options?: (database: Database) => ModelOptions
  /** Ids to give to orders, where Postgres does not. */
  ids?: (string | number)[]
  /** More to write into each order. */
  values?: object
  statuses?: Statuses
  /** The attributes' names. Default: status, dueAt, placedAt. */
  names?: { status?: string; deadline?: string; since?: string }
  /** More options of each rule. */
  rule?: object
  /** Columns that a settlement changes apart from the status and the deadline. Default: updatedAt. */
  settles?: string[]
  /** Defines the model, where that is not by `sequelize.define`. */
  define?: (sequelize: Sequelize) => ModelStatic<Model>
  /** What must be there before the table. */
  prepare?: (database: Database) => Promise<unknown>
}

export const NUMBERS: Statuses = { placed: 1, paid: 2, shipped: 4, confirmed: 5, cancelled: 0 }
const WORDS: Statuses = { placed: 'placed', paid: 'paid', shipped: 'shipped', confirmed: 'confirmed', cancelled: 'cancelled' }
const PLAIN: ModelAttributes = {
  id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
  status: { type: DataTypes.INTEGER, allowNull: false },
  dueAt: DataTypes.DATE,
  placedAt: DataTypes.DATE,
  leftMs: DataTypes.BIGINT,
}

export const SHAPES: Shape[] = [
  { title: 'integers' },
  { title: 'SMALLINT ids', attributes: () => ({ id: { type: DataTypes.SMALLINT, primaryKey: true } }), ids: [1, 2, 3, 32_767] },
  {
    title: 'BIGINT ids, beyond what a JavaScript number can tell apart',
    attributes: () => ({ id: { type: DataTypes.BIGINT, primaryKey: true } }),
    ids: ['9007199254740993', '9007199254740994', '9223372036854775807', '9007199254740992'],
  },
  {
    title: 'UUID ids',
    attributes: () => ({ id: { type: DataTypes.UUID, primaryKey: true } }),
    ids: [1, 2, 3, 4].map((n) => `0b1f7c7a-3a2c-4f57-9d1c-1c1f0a9f6f1${n}`),
  },
  {
    title: 'UUID ids that Postgres makes',
    attributes: () => ({ id: { type: DataTypes.UUID, primaryKey: true, defaultValue: literal('gen_random_uuid()') } }),
  },
  {
    title: 'ids that are text',
    attributes: () => ({ id: { type: DataTypes.STRING, primaryKey: true } }),
    ids: ['A-2026.11-0001', '007', 'a_b~c', 'Z'],
  },
  {
    title: 'a primary key that is not called id',
    attributes: () => ({ orderNo: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true, field: 'order_no' } }),
  },
  { title: 'underscored columns', options: () => ({ underscored: true }), settles: ['updated_at'] },
  {
    title: 'attributes under other names than their columns',
    attributes: () => ({
      state: { type: DataTypes.INTEGER, allowNull: false, field: 'State Code' },
      confirmBy: { type: DataTypes.DATE, field: "due-at 'soon' $1" },
      orderedOn: { type: DataTypes.DATE, field: 'ordered$on' },
    }),
    names: { status: 'state', deadline: 'confirmBy', since: 'orderedOn' },
    options: () => ({ tableName: 'Order Book US$1 $2' }),
  },
  { title: 'statuses that are text', attributes: () => ({ status: { type: DataTypes.STRING(20), allowNull: false } }), statuses: WORDS },
  {
    title: "statuses that are text, with quotes and signs of Postgres's and Sequelize's own",
    attributes: () => ({ status: DataTypes.TEXT }),
    statuses: { placed: "it's", paid: '$1', shipped: ':status', confirmed: '?{"}', cancelled: '已取消' },
  },
  {
    title: 'statuses of an ENUM',
    attributes: () => ({ status: { type: DataTypes.ENUM(...(Object.values(WORDS) as string[])), allowNull: false } }),
    options: ({ schema }) => ({ schema }),
    statuses: WORDS,
  },
  {
    title: 'statuses given as text for an integer',
    statuses: { placed: '1', paid: '2', shipped: '4', confirmed: '5', cancelled: '0' },
  },
  {
    title: 'statuses that are foreign keys',
    prepare: async ({ client }) => {
      await client.query('CREATE TABLE statuses (id int PRIMARY KEY); INSERT INTO statuses VALUES (0), (1), (2), (4), (5)')
    },
    attributes: () => ({ status: { type: DataTypes.INTEGER, allowNull: false, references: { model: 'statuses', key: 'id' } } }),
  },
  { title: 'rows that are soft-deleted', options: () => ({ paranoid: true }) },
  {
    title: 'a default scope that hides the rows',
    attributes: () => ({ hidden: DataTypes.BOOLEAN }),
    values: { hidden: true },
    options: () => ({ defaultScope: { where: { hidden: false } } }),
  },
  {
    title: 'a schema of their own',
    prepare: ({ client, schema }) => client.query(`CREATE SCHEMA "${schema} b"`),
    options: ({ schema }) => ({ schema: `${schema} b` }),
  },
  { title: 'no updatedAt', options: () => ({ updatedAt: false }), settles: [] },
  { title: 'no timestamps', options: () => ({ timestamps: false }), settles: [] },
  { title: 'an updatedAt of another name', options: () => ({ updatedAt: 'changedAt' }), settles: ['changedAt'] },
  { title: 'a version', options: () => ({ version: true }), settles: ['updatedAt', 'version'] },
  {
    title: 'a version of another name',
    attributes: () => ({ revision: { type: DataTypes.INTEGER, defaultValue: 0 } }),
    options: () => ({ version: 'revision' }),
    settles: ['revision', 'updatedAt'],
  },
  {
    title: 'a "where" with operators, and with signs that the binder knows in its values',
    attributes: () => ({ total: { type: DataTypes.INTEGER, field: 'total_cents' }, label: DataTypes.STRING, tags: DataTypes.JSONB }),
    values: { total: 500, label: "costs $1, US$2, $$3 (it's :cheap?)", tags: { gift: true } },
    rule: {
      where: {
        total: { [Op.between]: [100, 999] },
        [Op.or]: [{ label: "costs $1, US$2, $$3 (it's :cheap?)" }, { total: { [Op.gt]: 1_000_000 } }],
        [Op.not]: { label: '$2' },
        'tags.gift': true,
      },
    },
  },
  {
    title: 'a "where" with an expression',
    attributes: () => ({ label: DataTypes.STRING }),
    values: { label: 'Gift' },
    rule: { where: where(fn('lower', literal('"label"')), 'gift') },
  },
  {
    title: 'a "set" with values and expressions',
    attributes: () => ({
      confirmedBy: { type: DataTypes.STRING, field: 'confirmed_by' },
      confirmedAt: DataTypes.DATE,
      times: { type: DataTypes.INTEGER, defaultValue: 1 },
      detail: DataTypes.JSONB,
    }),
    rule: {
      set: {
        confirmedBy: "the timer's, for US$1 or $2",
        confirmedAt: fn('now'),
        times: literal('"times" + 1'),
        detail: { by: ['timer', 1] },
      },
    },
    settles: ['confirmedAt', 'confirmed_by', 'detail', 'times', 'updatedAt'],
  },
  { title: 'a class of sequelize-typescript', define: defineDecorated },
]

/** The decorators are called as functions, since the compiler's switch for them would be the whole project's. */
function defineDecorated(sequelize: Sequelize): ModelStatic<Model> {
  class Shaped extends Decorated.Model {}
  const columns: Record<string, PropertyDecorator[]> = {
    id: [Decorated.Column(Decorated.DataType.INTEGER), Decorated.AutoIncrement, Decorated.PrimaryKey].map(asProperty),
    status: [Decorated.Column(Decorated.DataType.INTEGER), Decorated.AllowNull(false)].map(asProperty),
    dueAt: [asProperty(Decorated.Column({ type: Decorated.DataType.DATE, field: 'due_by' }))],
    placedAt: [asProperty(Decorated.Column(Decorated.DataType.DATE))],
    leftMs: [asProperty(Decorated.Column(Decorated.DataType.BIGINT))],
  }
  for (const [name, decorators] of Object.entries(columns)) for (const decorate of decorators) decorate(Shaped.prototype, name)
  Decorated.Table({ tableName: 'shaped' })(Shaped)
  const decorated = Object.setPrototypeOf(sequelize, Decorated.Sequelize.prototype) as Decorated.Sequelize // as if made by its constructor
  decorated.addModels([Shaped])
  return Shaped
}

function asProperty(decorator: unknown): PropertyDecorator {
  return decorator as PropertyDecorator
}

export function define(shape: Shape, database: Database, sequelize: Sequelize = database.sequelize): ModelStatic<Model> {
  const { status = 'status', deadline = 'dueAt', since = 'placedAt' } = shape.names ?? {}
  const own = shape.attributes?.(database) ?? {}
  const hasOwnKey = Object.values(own).some((attribute) => (attribute as { primaryKey?: boolean }).primaryKey)
  if (shape.define) return shape.define(sequelize)
  const { id, status: plainStatus, dueAt, placedAt, leftMs } = PLAIN as Record<string, object>
  const attributes = {
    ...(hasOwnKey ? {} : { id }),
    [status]: plainStatus,
    [deadline]: dueAt,
    [since]: placedAt,
    leftMs,
    ...own,
  } as ModelAttributes
  const copies = Object.fromEntries(
    Object.entries(attributes).map(([name, attribute]) => [name, typeof attribute === 'object' ? { ...attribute } : attribute]),
  )
  return sequelize.define('Shaped', copies as ModelAttributes, { tableName: 'shaped', ...shape.options?.(database) })
}
