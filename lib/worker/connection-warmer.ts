// Keeps as many Postgres connections warm as settle at once: they are open, were used a moment ago, and have planned the settling statements.
// Otherwise the first due orders after a start or a quiet time would be 10 to 30 ms late.

import type { Sequelize, Transaction } from 'sequelize'
import type { RowChecks } from '../rows/row-rule.js'
import type { BoundRule } from '../rules/rule.js'
import { connectionOf, inTransaction } from '../sequelize/database.js'
import { QUESTION } from '../sequelize/statement-limits.js'
import { within } from '../wait.js'
import type { Clocks } from './clocks.js'

/** More often than Sequelize's pool closes idle connections: after ten seconds, unless the shop configures it otherwise. */
const WARM_EVERY_MS = 5_000

/** How long a transaction waits for the others to begin: the shop may be using those connections, or new ones are being opened. */
const TOGETHER_MS = 20
const OPENING_MS = 100

interface Use {
  rows: RowChecks[]
  /** How many batches are settled at once. */
  width: number
}

export class ConnectionWarmer {
  private readonly uses = new Map<Sequelize, Use>()
  private readonly planned = new WeakSet<object>()
  private timer: NodeJS.Timeout | undefined
  private warming: Promise<void> | undefined

  constructor(
    rules: Iterable<BoundRule>,
    private readonly clocks: Clocks,
    concurrency: (rule: BoundRule) => number,
  ) {
    for (const rule of rules) {
      if (!rule.row) continue
      const { sequelize } = rule.row.guard.table
      const use = this.uses.get(sequelize) ?? { rows: [], width: 0 }
      this.uses.set(sequelize, { rows: [...use.rows, rule.row], width: Math.max(use.width, concurrency(rule)) })
    }
  }

  /** @returns when the first round has ended */
  start(): Promise<void> {
    this.timer = setInterval(() => void this.warm(), WARM_EVERY_MS)
    return this.warm()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** One round, which also reads the clocks. Never rejects. */
  private warm(): Promise<void> {
    this.warming ??= this.warmAll().finally(() => {
      this.warming = undefined
    })
    return this.warming
  }

  private async warmAll(): Promise<void> {
    await Promise.all([this.clocks.readRedis(), ...[...this.uses].map(([sequelize, use]) => this.warmOne(sequelize, use))])
  }

  /** Runs one transaction for each batch. None ends before all have begun, so that each uses a connection of its own. */
  private async warmOne(sequelize: Sequelize, { rows, width }: Use): Promise<void> {
    const begins: (() => void)[] = []
    const begun = Promise.all(Array.from({ length: width }, () => new Promise<void>((resolve) => begins.push(resolve))))
    const each = begins.map((begin) =>
      inTransaction(sequelize, QUESTION, async (transaction) => {
        begin()
        await this.clocks.readPostgres(sequelize, transaction)
        const isNew = await this.plan(rows, transaction)
        await within(isNew ? OPENING_MS : TOGETHER_MS, begun)
      }).finally(begin),
    )
    await Promise.allSettled(each) // the sweep and the dispatcher report errors
  }

  /** Tries once for each connection; the sweep reports what cannot be planned, such as a missing table. @returns whether the connection is new */
  private async plan(rows: RowChecks[], transaction: Transaction): Promise<boolean> {
    const connection = connectionOf(transaction)
    if (connection === undefined || this.planned.has(connection)) return false
    this.planned.add(connection)
    for (const row of rows) await row.plan(transaction)
    return true
  }
}
