// Stages one fault of the doctor's table: a shop with all that it needs, real servers, and the ways in which a person carries out what the doctor prints.

import { Redis } from 'ioredis'
import type { Finding, Remedy } from '../../../lib/admin/doctor/check.js'
import { doctor } from '../../../lib/admin/doctor/doctor.js'
import { migration } from '../../../lib/admin/migration.js'
import { run } from '../../../lib/cli/run.js'
import {
  type ExpiryWorker,
  type OrderTimers,
  type OrderTimersOptions,
  type Rules,
  startExpiryWorker,
  transition,
} from '../../../lib/index.js'
import { openProject, type Project, timersModule } from '../../support/command-line.js'
import type { Database, DatabaseOptions } from '../../support/database.js'
import { runtimeOf } from '../../support/runtime.js'
import { makeTimers, openShop, type Shop, watched } from '../../support/shop.js'

export const confirming = ({ Order }: Pick<Database, 'Order'>) => ({
  order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
})

/** The same rules as text, for a module that the command loads. */
const RULES = `order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),`

export interface StageOptions {
  rules?: (database: Database) => Rules
  /** For `npx order-timers …`, where the rules are others. */
  rulesText?: string
  redisUrl?: string
  database?: DatabaseOptions
  /** For the timers that the doctor looks at. */
  timers?: Partial<Omit<OrderTimersOptions, 'rules'>>
}

/** A shop whose tables and indexes are there, with timers that the doctor looks at. It has no worker. */
export class Stage {
  readonly admin: Redis
  directory: string | undefined
  /** Does what `npm install NAME@VERSION` would. */
  npm: (wanted: string) => Promise<unknown> = async () => {}
  private timers: Partial<Omit<OrderTimersOptions, 'rules'>>
  private looked: Database
  private readonly made: OrderTimers<Rules>[] = []
  private readonly workers: ExpiryWorker[] = []
  private project: Project | undefined

  private constructor(
    readonly shop: Shop<Rules>,
    private readonly options: StageOptions,
    public rules: (database: Database) => Rules,
  ) {
    this.admin = new Redis(options.redisUrl ?? shop.redis.url, { lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => 100 })
    this.admin.on('error', () => {})
    this.timers = options.timers ?? {}
    this.looked = shop.database
  }

  static async open(options: StageOptions = {}): Promise<Stage> {
    const { rules = confirming, redisUrl, database } = options
    const shop = (await openShop(rules, {
      ...(redisUrl !== undefined && { redisUrl }),
      ...(database && { database }),
    })) as unknown as Shop<Rules>
    const stage = new Stage(shop, options, rules)
    for (const sql of migration(runtimeOf(shop.timers)).up) await shop.database.client.query(sql)
    return stage
  }

  get database(): Database {
    return this.shop.database
  }

  /** Changes how the shop makes its timers, or which database its models use. */
  look(timers: Partial<Omit<OrderTimersOptions, 'rules'>>, database: Database = this.looked): void {
    this.timers = timers
    this.looked = database
  }

  /** Other timers on the same servers, such as those of another process. */
  other<R extends Rules>(rules: R, options: Partial<Omit<OrderTimersOptions, 'rules'>> = {}): OrderTimers<R> {
    const timers = makeTimers(rules, { redis: this.shop.redis.url, prefix: this.shop.redis.prefix, ...options })
    this.made.push(timers as unknown as OrderTimers<Rules>)
    return timers
  }

  /** As one run of the command: on timers of its own. */
  async ask(): Promise<Finding[]> {
    const { redis } = this.shop
    const timers = makeTimers(this.rules(this.looked), { redis: redis.url, prefix: redis.prefix, ...this.timers })
    try {
      const runtime = runtimeOf(timers)
      runtime.beats?.onlyLook()
      return (await doctor(runtime, { directory: this.directory ?? process.cwd() })).findings
    } finally {
      await timers.close()
    }
  }

  /** What a person does with what is printed. What is done by hand, the fault says. */
  async carryOut({ in: place, text }: Remedy): Promise<void> {
    if (place === 'psql') await this.database.client.query(text)
    if (place === 'redis-cli') {
      const [command = '', ...args] = words(text)
      await this.admin.call(command, ...args)
    }
    const [, wanted] = /^npm install (.+)$/.exec(text) ?? []
    if (place === 'shell' && wanted !== undefined) await this.npm(wanted)
    const [, typed] = /^npx order-timers (.+)$/.exec(text) ?? []
    if (place === 'shell' && typed !== undefined) await this.command(typed)
  }

  /** Timers that were made beside the shop's own end with their workers. */
  async stopWorkers(): Promise<void> {
    await Promise.all(this.workers.splice(0).map((worker) => worker.stop()))
  }

  /** Starts a worker, as another process would. */
  async worker<R extends Rules>(timers: OrderTimers<R>): Promise<ExpiryWorker> {
    const worker = watched(startExpiryWorker(timers, { fallback: false }))
    this.workers.push(worker)
    await worker.ready
    return worker
  }

  async close(): Promise<void> {
    await this.stopWorkers()
    for (const timers of this.made) await timers.close()
    this.admin.disconnect()
    await this.shop.close()
    await this.project?.close()
  }

  private async command(typed: string): Promise<void> {
    this.project ??= await openProject()
    const { url, prefix } = this.shop.redis
    const file = `timers-${performance.now()}.mjs`
    await this.project.write(
      file,
      timersModule(this.database, this.options.rulesText ?? RULES, `redis: '${url}', prefix: '${prefix}', logger: false`),
    )
    const lines: string[] = []
    const print = (text: string) => void lines.push(text)
    const status = await run([...typed.split(' '), '--module', file], { directory: this.project.directory, print, remark: print })
    if (status > 1) throw new Error(`order-timers ${typed} ended with ${status}:\n${lines.join('\n')}`)
  }
}

/** As redis-cli splits a line. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain as string) : JSON.parse(`"${quoted}"`),
  )
}
