// Connections to Postgres kept ready: as many as settle at once are open, known to live, and have planned the statements that settle.
// Without that the first orders that come due after a start are ten to thirty milliseconds late.

import type { Sequelize, Transaction } from 'sequelize'
import type { RowChecks } from '../rows/row-rule.js'
import type { BoundRule } from '../rules/rule.js'
import { connectionOf, inTransaction } from '../sequelize/database.js'
import { QUESTION } from '../sequelize/statement-limits.js'
import { within } from '../wait.js'
import type { Clocks } from './clocks.js'

/** More often than Sequelize's pool gives up what nobody uses, which is after ten seconds unless the shop says otherwise. */
const KEEP_EVERY_MS = 5_000

/** How long connections are held for each other, where the shop has the others in use; longer while new ones are being opened. */
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
  private keeping: Promise<void> | undefined

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
    this.timer = setInterval(() => void this.keep(), KEEP_EVERY_MS)
    return this.keep()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** Reads the clocks on the way. Never rejects. */
  private keep(): Promise<void> {
    this.keeping ??= this.prepareAll().finally(() => {
      this.keeping = undefined
    })
    return this.keeping
  }

  private async prepareAll(): Promise<void> {
    await Promise.all([this.clocks.readRedis(), ...[...this.uses].map(([sequelize, use]) => this.prepare(sequelize, use))])
  }

  /** One transaction for each batch, and none ends before all have begun, so that each has another connection. */
  private async prepare(sequelize: Sequelize, { rows, width }: Use): Promise<void> {
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
    await Promise.allSettled(each) // what went wrong is said by the sweep and the dispatcher
  }

  /** Tried once for each connection: what cannot be planned, such as a table that is missing, is said by the sweep. @returns whether it is new */
  private async plan(rows: RowChecks[], transaction: Transaction): Promise<boolean> {
    const connection = connectionOf(transaction)
    if (connection === undefined || this.planned.has(connection)) return false
    this.planned.add(connection)
    for (const row of rows) await row.plan(transaction)
    return true
  }
}
