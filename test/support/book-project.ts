// A page's blocks as a project: its files, in a folder beside what a shop has anyway. Blocks that go on with `app.ts` or `timers.ts` go on with
// the file of docs/getting-started.md.

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Block, blocksOf, fileOf, root } from './book.js'
import { enter } from './opened.js'

const BASE = 'docs/getting-started.md'

/** Models and functions that blocks import and no block defines. `InferAttributes` of the oldest Sequelize does not compile. */
const SHOP: Record<string, string> = {
  'models.ts': `import { DataTypes, Model, Sequelize } from 'sequelize'
export const sequelize = new Sequelize(process.env.DATABASE_URL as string, { logging: false, define: { schema: process.env.SCHEMA as string } })
interface OrderAttributes {
  id: number
  status: number
  country: string
  isPaid: boolean
  disputeOpen: boolean
  createdAt: Date
  shippedAt: Date | null
  confirmDueAt: Date | null
  confirmLeftMs: string | null
  confirmExtended: number | null
}
export interface Order extends OrderAttributes {}
export class Order extends Model<OrderAttributes, Partial<OrderAttributes>> {}
Order.init({ id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true }, status: { type: DataTypes.INTEGER, defaultValue: 1 },
  country: DataTypes.STRING, isPaid: DataTypes.BOOLEAN, disputeOpen: DataTypes.BOOLEAN, createdAt: DataTypes.DATE, shippedAt: DataTypes.DATE,
  confirmDueAt: DataTypes.DATE, confirmLeftMs: DataTypes.BIGINT, confirmExtended: DataTypes.INTEGER }, { sequelize, tableName: 'orders', updatedAt: false })
`,
  'shop.ts': `import express from 'express'
export { sequelize } from './models.js'
export const app = express()
export const sendMail = async (..._about: unknown[]) => {}
export const putBack = async (..._goods: unknown[]) => {}
`,
}

/** In docs/late-payment.md the shop has payments, and statuses that are words. */
const PAYMENTS: Record<string, string> = {
  'models.ts': `import { DataTypes, Model, Sequelize } from 'sequelize'
export const sequelize = new Sequelize(process.env.DATABASE_URL as string, {
  logging: false, pool: { max: 20 }, dialectOptions: { options: '-c search_path=' + process.env.SCHEMA },
})
interface OrderAttributes {
  id: number
  status: string
  createdAt: Date
}
export interface Order extends OrderAttributes {}
export class Order extends Model<OrderAttributes, Partial<OrderAttributes>> {}
Order.init({ id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true }, createdAt: DataTypes.DATE,
  status: { type: DataTypes.STRING, allowNull: false, defaultValue: 'placed' } }, { sequelize, tableName: 'orders' })
interface PaymentAttributes {
  id: string
  orderId: number
  outcome: string
  createdAt: Date
}
export interface Payment extends PaymentAttributes {}
export class Payment extends Model<PaymentAttributes, Omit<PaymentAttributes, 'createdAt'>> {}
Payment.init({ id: { type: DataTypes.STRING, primaryKey: true }, orderId: DataTypes.INTEGER, outcome: DataTypes.STRING,
  createdAt: DataTypes.DATE }, { sequelize, tableName: 'payments' })
interface CancelledAttributes {
  id: number
  orderId: number
  cancelledAt: Date
  asked: number
}
export interface Cancelled extends CancelledAttributes {}
export class Cancelled extends Model<CancelledAttributes, Pick<CancelledAttributes, 'orderId'> & Partial<CancelledAttributes>> {}
Cancelled.init({ id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true }, orderId: DataTypes.INTEGER, cancelledAt: DataTypes.DATE,
  asked: { type: DataTypes.INTEGER, defaultValue: 0 } }, { sequelize, tableName: 'cancelled', timestamps: false })
`,
  'payment-service.ts': `
export const refunds: { id: string; key: string | undefined }[] = []
export const refund = async (id: string, key: string | undefined) => void refunds.push({ id, key })
export const closed = new Map<number, 'expired' | 'processing' | 'paid'>()
export const closeSession = async (orderId: number, _how: { signal: AbortSignal; idempotencyKey: string | undefined }) =>
  ({ id: 'session ' + orderId, state: closed.get(orderId) ?? ('expired' as const) })
export const refundIfPaid = async (orderId: number, key: string | undefined) => void refunds.push({ id: 'order ' + orderId, key })
`,
}

/** The files of a page and of what it takes for granted, by name: the shop of docs/getting-started.md, in TypeScript. */
export function filesOf(page: string): Record<string, string> {
  const own = codeOf(page).map((block) => (page === BASE ? inTypeScript(block) : block))
  if (own.some((block) => fileOf(block) === 'payments.ts')) return { ...PAYMENTS, ...joined(own) }
  const base = page === BASE ? [] : codeOf(BASE).map(inTypeScript)
  const begun = new Set(own.filter(({ title = '' }) => !title.includes(',')).map(fileOf))
  return { ...SHOP, ...joined([...base.filter((block) => !begun.has(fileOf(block))), ...own]) }
}

/** Writes a project into a folder whose modules are this project's, and that imports this package by its name. */
export async function openProjectOf(files: Record<string, string>, instead: Record<string, string> = {}) {
  const directory = await mkdtemp(join(root, 'node_modules', '.book-'))
  const modules = join(directory, 'node_modules')
  await mkdir(modules)
  await symlink(root, join(modules, 'express-order-timers'))
  for (const [name, other] of Object.entries(instead)) await symlink(join(root, 'node_modules', other), join(modules, name))
  for (const [name, text] of Object.entries({ 'package.json': '{ "type": "module" }', ...files })) {
    await mkdir(dirname(join(directory, name)), { recursive: true })
    await writeFile(join(directory, name), text)
  }
  const close = async () => {
    await rm(directory, { recursive: true, force: true })
    strikeOut()
  }
  const strikeOut = enter(`folder ${directory}`, close)
  return { directory, close }
}

/** The shop's own JavaScript as the TypeScript that it also is; its model alone has no types there. */
function inTypeScript(block: Block): Block {
  return fileOf(block) === 'models.js' ? block : { ...block, title: block.title?.replace(/\.js\b/, '.ts') }
}

function codeOf(page: string): Block[] {
  return blocksOf(page).filter(({ language }) => language === 'ts' || language === 'js')
}

function joined(blocks: readonly Block[]): Record<string, string> {
  const files: Record<string, string> = {}
  for (const block of blocks) files[fileOf(block)] = `${files[fileOf(block)] ?? ''}${block.text}`
  return files
}
