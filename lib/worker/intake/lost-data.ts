// Data that Redis lost: FLUSHALL, a deleted index, a restart or a failover without the data. It is reported, what comes due soon is armed again
// from Postgres at once, and the number of timers armed is reported. One worker does it for all; if it dies, another does.

import { type BoundRule, isSwept } from '../../rules/rule.js'
import type { RuntimeRedis } from '../../timers/runtime.js'
import type { Reporter } from '../reporter.js'
import type { IndexClaims } from '../settling/index-claims.js'
import type { Sweep } from '../sweep/sweep.js'

export interface LostDataDependencies {
  redis: Pick<RuntimeRedis, 'connection' | 'leases'>
  rules: ReadonlyMap<string, BoundRule>
  claims: IndexClaims
  sweep: Sweep
  reporter: Reporter
}

export class LostData {
  private readonly lost = new Set<string>()
  private restoring: Promise<void> | undefined

  constructor(private readonly dependencies: LostDataDependencies) {
    dependencies.claims.onLost((kind) => this.found(kind))
  }

  async stop(): Promise<void> {
    await this.restoring
  }

  private found(kind: string): void {
    const { redis, reporter } = this.dependencies
    this.lost.add(kind)
    const message = `Redis at ${redis.connection.where} lost its data (${[...this.lost].join(', ')}); timers are armed again from Postgres`
    const remedy = 'was it emptied, or restarted or failed over without its data?'
    reporter.faults.raise('REDIS_LOST_DATA', { message, remedy })
    this.restoring ??= this.restore().finally(() => {
      this.restoring = undefined
    })
  }

  /** If Redis or Postgres does not answer, the next claim finds the loss again. */
  private async restore(): Promise<void> {
    const { redis, reporter, rules, sweep } = this.dependencies
    const restored: string[] = []
    let armed = 0
    try {
      for (let kinds = [...this.lost]; kinds.length > 0; kinds = [...this.lost].filter((kind) => !restored.includes(kind))) {
        void sweep.run() // settles what came due meanwhile
        armed += await sweep.armAgain(kinds)
        for (const kind of kinds) await redis.leases.restored(kind)
        restored.push(...kinds)
      }
    } catch {
      return
    }
    this.lost.clear()
    reporter.restored(
      restored,
      armed,
      restored.filter((kind) => !isSwept(rules.get(kind))),
    )
  }
}
