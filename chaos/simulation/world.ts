// A shop, its workers, a Redis and a Postgres, in one process: the package itself, with ioredis, Sequelize and pg, over a simulated network.

import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import { AbstractConnector, type RedisOptions } from 'ioredis'
import { loadModule } from 'libpg-query'
import pg from 'pg'
import { DataTypes, Sequelize } from 'sequelize'
import { type ExpiryWorker, type OrderTimers, orderTimers, type Rules, startExpiryWorker, transition } from '../../lib/index.js'
import { OrderRow } from '../../test/support/order.js'
import { Random } from '../random.js'
import { Network } from './network.js'
import { POSTGRES, PostgresModel } from './postgres/server.js'
import { Table, type Transaction } from './postgres/tables.js'
import type { Value } from './postgres/values.js'
import { REDIS, RedisModel } from './redis/server.js'
import type { Story } from './story.js'
import { install, VirtualTime } from './virtual-time.js'

export { POSTGRES, REDIS }
export const SHOP = 'shop'

const FALLBACK = { 10: '*/10 * * * * *', 60: '* * * * *' }

export const PAY_WITHIN_MS = 120_000

export interface OrderState {
  status: number
  deadline: number | null
  createdAt: number
}

/** A committed change of an order. Instants are milliseconds since 1970. */
export interface Change {
  id: number
  by: string
  transaction: number
  /** By Postgres's clock: when its transaction began, and when the row was written. */
  now: number
  writtenAt: number
  /** True time. */
  committedAt: number
  before: OrderState | undefined
  after: OrderState
}

export interface HandlerCall {
  id: string
  at: number
}

interface Process {
  name: string
  timers: OrderTimers<Rules>
  sequelize: Sequelize
  worker?: ExpiryWorker
}

await loadModule()

export class World {
  readonly time: VirtualTime
  readonly network: Network
  readonly redis: RedisModel
  readonly postgres: PostgresModel
  readonly changes: Change[] = []
  readonly effects: { id: number; transaction: number }[] = []
  readonly handled: HandlerCall[] = []
  /** What workers reported that must never be. */
  readonly broken: string[] = []
  readonly shop: Process
  readonly workers: Process[] = []
  private lastWorker = 0
  private readonly undo: (() => void)[]

  constructor(readonly story: Story) {
    const random = new Random(story.seed)
    this.time = new VirtualTime(random.branch())
    this.undo = [install(this.time)]
    this.network = new Network(this.time)
    this.redis = new RedisModel(this.time)
    this.postgres = new PostgresModel(this.time, this.makeTables())
    this.undo.push(this.takeCancelRequests(), silence())
    this.shop = this.start(SHOP)
  }

  startWorker(): void {
    const name = `worker ${++this.lastWorker}`
    const process = this.start(name)
    process.worker = this.time.as(name, () => {
      const worker = startExpiryWorker(process.timers, { fallback: FALLBACK[this.story.sweepEvery] })
      worker.on('fault', (fault) => {
        if (fault.code === 'INTERNAL') this.broken.push(`${name}: ${fault.message} ${(fault.error as Error | undefined)?.stack ?? ''}`)
      })
      worker.on('dead', ({ kind, id, error }) => this.broken.push(`${name}: ${kind} ${id} is a dead letter: ${String(error)}`))
      return worker
    })
    this.workers.push(process)
  }

  /** As by SIGKILL: nothing of it runs any more, and its connections break. */
  kill(name: string): void {
    this.time.end(name)
    this.network.cut({ owner: name })
    const index = this.workers.findIndex((one) => one.name === name)
    if (index >= 0) this.workers.splice(index, 1)
  }

  /** As by SIGTERM. */
  async stopWorker(name: string): Promise<void> {
    const index = this.workers.findIndex((one) => one.name === name)
    const [process] = index < 0 ? [] : this.workers.splice(index, 1)
    if (!process) return
    await this.time.as(name, () => process.worker?.stop())
    await process.timers.close()
    await process.sequelize.close()
    this.kill(name)
  }

  /** Resolves after so much virtual time. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.time.schedule('the story', ms, resolve))
  }

  /** The committed orders. */
  orders(): (OrderState & { id: number })[] {
    const rows = [...(this.postgres.tables.get('orders')?.rows.values() ?? [])]
    return rows.flatMap(({ committed }) => (committed ? [{ id: committed[0] as number, ...orderState(committed) }] : []))
  }

  close(): void {
    for (const one of this.undo.reverse()) one()
  }

  private start(name: string): Process {
    return this.time.as(name, () => {
      const sequelize = this.connect(name)
      const Order = defineOrder(sequelize)
      const timers = orderTimers({ redis: this.redisOptions(name), logger: false, rules: this.rules(Order, sequelize) })
      return { name, sequelize, timers }
    })
  }

  private connect(name: string): Sequelize {
    return new Sequelize({
      dialect: 'postgres',
      dialectModule: driverOver(() => this.network.socket(this.postgres, name)),
      host: 'postgres.simulated',
      port: 5432,
      username: 'shop',
      database: 'shop',
      databaseVersion: '18.4.0',
      logging: false,
      dialectOptions: { application_name: name },
    } as never)
  }

  private redisOptions(name: string): RedisOptions {
    const socket = () => this.network.socket(this.redis, name)
    class SimulatedConnector extends AbstractConnector {
      constructor(options: { disconnectTimeout?: number }) {
        super(options.disconnectTimeout ?? 2_000)
      }

      override connect(): Promise<never> {
        this.connecting = true
        const stream = socket()
        this.stream = stream as never
        return Promise.resolve(stream.connect() as never)
      }
    }
    return { host: 'redis.simulated', Connector: SimulatedConnector as never }
  }

  private rules(Order: typeof OrderRow, sequelize: Sequelize): Rules {
    const order_confirm = transition(Order, {
      from: 4,
      to: 5,
      deadline: 'confirmDueAt',
      run: async (orders, { transaction }) => {
        const bind = [orders.map(({ id }) => id)]
        await sequelize.query('INSERT INTO effects SELECT unnest($1::int[])', { bind, transaction })
      },
    })
    if (this.story.rules === 'one') return { order_confirm }
    return {
      order_confirm,
      order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: PAY_WITHIN_MS }),
      order_call: async ({ ids }) => {
        for (const id of ids) this.handled.push({ id, at: this.time.epochMs })
      },
    }
  }

  private makeTables(): Map<string, Table> {
    const serial = (table: Table): number => {
      table.lastId += 1
      return table.lastId
    }
    const orders = new Table(
      'orders',
      [
        { name: 'id', type: 'int4', required: true, default: serial },
        { name: 'userId', type: 'int4', required: true, default: () => 1 },
        { name: 'total', type: 'int4', required: true, default: () => 100 },
        { name: 'status', type: 'int4', required: true, default: () => 1 },
        { name: 'note', type: 'text' },
        { name: 'confirmDueAt', type: 'timestamptz' },
        { name: 'createdAt', type: 'timestamptz', required: true },
        { name: 'updatedAt', type: 'timestamptz', required: true },
      ],
      (by, before, after) => this.noteChange(by, before, after),
    )
    const effects = new Table('effects', [{ name: 'order_id', type: 'int4', required: true }], (by, _, after) => {
      by.atCommit.push(() => this.effects.push({ id: after?.[0] as number, transaction: by.id }))
    })
    return new Map([orders, effects].map((table) => [table.name, table]))
  }

  private noteChange(by: Transaction, before: Value[] | undefined, after: Value[] | undefined): void {
    if (!after) return
    const [from, to, writtenAt] = [before && orderState(before), orderState(after), this.postgres.clock() / 1000]
    if (from && from.status === to.status && from.deadline === to.deadline) return
    by.atCommit.push(() => {
      const change = { id: after[0] as number, by: by.application, transaction: by.id, now: by.startedAt / 1000, writtenAt }
      this.changes.push({ ...change, committedAt: this.time.epochMs, before: from, after: to })
    })
  }

  /** The package cancels a statement over a connection of its own. */
  private takeCancelRequests(): () => void {
    const real = net.connect
    const connect = (port: unknown, host: unknown) =>
      host === 'postgres.simulated' ? this.network.socket(this.postgres).connect() : real(port as number, host as string)
    net.connect = connect as typeof net.connect
    syncBuiltinESMExports()
    return () => {
      net.connect = real
      syncBuiltinESMExports()
    }
  }
}

function orderState(row: Value[]): OrderState {
  const due = row[5] as number | null
  return { status: row[3] as number, deadline: due === null ? null : due / 1000, createdAt: (row[6] as number) / 1000 }
}

/** The driver over other sockets. The oldest Sequelize that is supported ignores `dialectOptions.stream`. */
function driverOver(stream: () => object): typeof pg {
  class Client extends pg.Client {
    constructor(config: pg.ClientConfig) {
      super({ ...config, stream: stream as never })
    }
  }
  return Object.create(pg, { Client: { value: Client } }) as typeof pg
}

/** Sequelize tells the console of transactions whose connection broke. */
function silence(): () => void {
  const { warn } = console
  console.warn = () => {}
  return () => {
    console.warn = warn
  }
}

function defineOrder(sequelize: Sequelize): typeof OrderRow {
  class Order extends OrderRow {}
  Order.init(
    {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      userId: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
      total: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 100 },
      status: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
      note: DataTypes.STRING,
      confirmDueAt: DataTypes.DATE,
      createdAt: DataTypes.DATE,
      updatedAt: DataTypes.DATE,
    },
    { sequelize, modelName: 'Order', tableName: 'orders' },
  )
  return Order
}
