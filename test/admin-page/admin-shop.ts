// A shop with rules of each sort, its acts recorded, and the admin page mounted on an app of its own, for the tests of the page.

import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Express, type RequestHandler } from 'express'
import { DataTypes, type Model, type ModelStatic, type Sequelize } from 'sequelize'
import { type AdminOptions, type AdminRouter, orderTimersAdmin } from '../../lib/admin-page/index.js'
import { transition } from '../../lib/index.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { RUNS_TABLE, RunsTable } from '../../lib/rows/runs-table.js'
import { UNVERIFIED_TABLE, Unverified } from '../../lib/rows/unverified.js'
import { createActionsTable } from '../admin/actions/acting.js'
import { enter } from '../support/opened.js'
import { openShop, type Shop, type ShopOptions } from '../support/shop.js'

export const MOUNT = '/admin/order-timers'

export interface AdminShop extends Shop<ReturnType<typeof rules>> {
  admin: AdminRouter
  /** The page's address, with the slash. */
  url: string
  /** Again, as the page does, while something is not known yet. */
  ask(path: string, options?: Sent): Promise<Answer>
  askOnce(path: string, options?: Sent): Promise<Answer>
  /** As the page does, from the page's own origin. */
  act(body: unknown, headers?: Record<string, string>): Promise<Answer>
}

export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it
  json: any
}

export interface AdminShopOptions extends ShopOptions {
  admin?: Partial<AdminOptions>
  /** Before the page. */
  before?: RequestHandler[]
  recorded?: boolean
  /** Whether timers of order_confirm can be paused. */
  pausable?: boolean
  /** What order_confirm asks before it settles. */
  verify?: (orders: Model[]) => Promise<(boolean | `${number}m`)[]>
  makeApp?: () => Express
}

function rules(Order: Shop<never>['database']['Order'], pausable = false, verify?: AdminShopOptions['verify']) {
  return {
    order_confirm: transition(Order, {
      from: 4,
      to: 5,
      deadline: 'confirmDueAt',
      after: '24h',
      history: true,
      attempts: 1,
      ...((pausable ? { pause: { keep: 'leftMs' } } : {}) as object),
      ...((verify ? { verify: { ask: verify } } : {}) as object),
      brake: { max: 1_000, per: '1h' },
      run: (orders) => {
        for (const order of orders) if (order.note?.startsWith('fails')) throw new Error(order.note)
      },
    }),
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    order_other: async () => {},
  }
}

function withKeptTime(Order: ModelStatic<Model>, sequelize: Sequelize): ModelStatic<Model> {
  const attributes = { status: DataTypes.INTEGER, note: DataTypes.TEXT, confirmDueAt: DataTypes.DATE, leftMs: DataTypes.BIGINT }
  return sequelize.define('Pausable', attributes, { tableName: Order.tableName })
}

export async function openAdminShop(options: AdminShopOptions = {}): Promise<AdminShop> {
  const { admin: adminOptions, before = [], recorded = true, pausable = false, verify, makeApp = express, ...shopOptions } = options
  const shop = await openShop(
    ({ Order, sequelize }) => rules((pausable ? withKeptTime(Order, sequelize) : Order) as never, pausable, verify),
    shopOptions,
  )
  const { client } = shop.database
  if (pausable) await client.query('ALTER TABLE orders ADD COLUMN "leftMs" bigint')
  const tables = [
    History.createSql(HISTORY_TABLE),
    Brake.createSql(BRAKE_TABLE),
    Holds.createSql(HOLDS_TABLE),
    RunsTable.createSql(RUNS_TABLE),
  ]
  const verified = `ALTER TABLE ${HISTORY_TABLE} ADD COLUMN IF NOT EXISTS verified jsonb`
  await client.query(
    [...tables, ...(verify ? [[verified]] : []), ...(verify ? [Unverified.createSql(UNVERIFIED_TABLE)] : [])].flat().join(';'),
  )
  if (recorded) await createActionsTable(shop.database)
  await shop.timers.check()
  const admin = orderTimersAdmin(shop.timers, { authorize: () => ({ user: 'support', can: 'act' }), ...adminOptions })
  const app = makeApp()
  app.use(...before, (_req, _res, next) => next())
  app.use(MOUNT, admin)
  const server = await listen(app)
  const url = `${server.url}${MOUNT}/`
  const askOnce = (path: string, sent: Sent = {}) => send(new URL(path, url), sent)
  const ask = async (path: string, sent?: Sent) => {
    let answer = await askOnce(path, sent)
    const isOpen = ({ json }: Answer, i: number) => json?.data?.looking || (json?.recording === 'unknown' && i < 10)
    for (let i = 0; i < 100 && isOpen(answer, i); i += 1) answer = await askOnce(path, sent)
    return answer
  }
  const act = (body: unknown, headers: Record<string, string> = {}) =>
    ask('act', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const close = async () => {
    admin.close()
    await server.close()
    await shop.close()
  }
  return { ...shop, admin, url, ask, askOnce, act, close }
}

export interface Sent {
  method?: string
  headers?: Record<string, string>
  body?: string
}

/** On a connection of its own. */
export async function send(url: URL | string, { method = 'GET', headers = {}, body }: Sent = {}): Promise<Answer> {
  const request = httpRequest(url, { method, headers, agent: false }).end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  const isJson = response.headers['content-type']?.startsWith('application/json') && text !== ''
  return { status: response.statusCode ?? 0, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined }
}

/** On a free port; `close` ends what is still connected. */
export async function listen(app: Express): Promise<{ url: string; server: Server; close: () => Promise<void> }> {
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
    strikeOut()
  }
  const strikeOut = enter('http server', close)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, close }
}
