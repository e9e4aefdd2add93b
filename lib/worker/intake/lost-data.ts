// Data that Redis lost (FLUSHALL, an index that was deleted, a restart or a failover without it): told, armed again from Postgres at once, and
// told how much that was. One worker does it for all; another does where that one died.

import type { RedisConnection } from '../../redis/connection.js'
import type { DueIndex } from '../../redis/due-index.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Reporter } from '../reporter.js'

export interface LostDataDependencies {
  connection: RedisConnection
  index: DueIndex
  rules: ReadonlyMap<string, BoundRule>
  /** Arms what comes due soon. @returns how many were missing */
  armAgain(kinds: readonly string[]): Promise<number>
  /** What came due meanwhile is the sweep's. */
  catchUp(): void
  reporter: Reporter
}

export class LostData {
  private readonly lost = new Set<string>()
  private restoring: Promise<void> | undefined

  constructor(private readonly dependencies: LostDataDependencies) {}

  /** The index of a kind has lost data. */
  found(kind: string): void {
    const { connection, reporter } = this.dependencies
    this.lost.add(kind)
    const message = `Redis at ${connection.where} lost its data (${[...this.lost].join(', ')}), which is armed again from Postgres`
    const remedy = 'was it emptied, or restarted or failed over without its data?'
    reporter.faults.raise('REDIS_LOST_DATA', { message, remedy })
    this.restoring ??= this.restore().finally(() => {
      this.restoring = undefined
    })
  }

  async stop(): Promise<void> {
    await this.restoring
  }

  /** Where Redis or Postgres does not answer, the next claim finds the loss again. */
  private async restore(): Promise<void> {
    const { armAgain, catchUp, index, reporter } = this.dependencies
    const restored: string[] = []
    let armed = 0
    try {
      for (let kinds = [...this.lost]; kinds.length > 0; kinds = [...this.lost].filter((kind) => !restored.includes(kind))) {
        catchUp()
        armed += await armAgain(kinds)
        for (const kind of kinds) await index.restored(kind)
        restored.push(...kinds)
      }
    } catch {
      return
    }
    this.lost.clear()
    reporter.restored(
      restored,
      armed,
      restored.filter((kind) => !this.dependencies.rules.get(kind)?.row?.pending),
    )
  }
}
