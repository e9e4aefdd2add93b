// Data that Redis lost: FLUSHALL, a deleted index, a restart or a failover without the data; in a cluster on one node. It is reported, what comes due
// soon is armed again from Postgres at once, and the number of timers armed is reported. One worker does it for all; if it dies, another does.

import type { Keys } from '../../keys.js'
import { servedBy } from '../../redis/primaries.js'
import { type BoundRule, isSwept } from '../../rules/rule.js'
import type { RuntimeRedis } from '../../timers/runtime.js'
import type { Reporter } from '../reporter.js'
import type { IndexClaims } from '../settling/index-claims.js'
import type { Sweep } from '../sweep/sweep.js'

export interface LostDataDependencies {
  redis: Pick<RuntimeRedis, 'connection' | 'leases'>
  keys: Keys
  rules: ReadonlyMap<string, BoundRule>
  claims: IndexClaims
  sweep: Sweep
  reporter: Reporter
}

/** What was lost at one place: of one Redis, or of one node of a cluster. */
interface Loss {
  kind: string
  partition: number
  node: string | undefined
}

export class LostData {
  /** By kind and partition. */
  private readonly lost = new Map<string, Loss>()
  private restoring: Promise<void> | undefined

  constructor(private readonly dependencies: LostDataDependencies) {
    dependencies.claims.onLost((kind, partition, isOver) => (isOver ? this.foundWhole(kind, partition) : this.found(kind, partition)))
  }

  async stop(): Promise<void> {
    await this.restoring
  }

  private found(kind: string, partition: number): void {
    const { redis, keys, reporter } = this.dependencies
    const name = `${partition} ${kind}`
    const { node } = this.lost.get(name) ?? { node: servedBy(redis.connection.client, keys.sets(kind, partition).due) }
    if (!this.lost.has(name)) this.lost.set(name, { kind, partition, node })
    const kinds = kindsOf([...this.lost.values()].filter((loss) => loss.node === node)).join(', ')
    const where = node === undefined ? redis.connection.where : `${node} (a node of the cluster)`
    reporter.faults.raise('REDIS_LOST_DATA', {
      message: `Redis at ${where} lost its data (${kinds}); timers are armed again from Postgres`,
      remedy: 'was it emptied, or restarted or failed over without its data?',
      ...(node !== undefined && { node }),
    })
    this.restoring ??= this.restore().finally(() => {
      this.restoring = undefined
    })
  }

  /** Another worker has restored what this one could not. */
  private foundWhole(kind: string, partition: number): void {
    const name = `${partition} ${kind}`
    const loss = this.restoring ? undefined : this.lost.get(name)
    if (!loss) return
    this.lost.delete(name)
    const isLeft = [...this.lost.values()].some(({ node }) => node === loss.node)
    if (!isLeft) this.dependencies.reporter.faults.clear('REDIS_LOST_DATA', loss.node)
  }

  /** If Postgres, Redis or one node of a cluster does not answer, the next claim finds the loss again. */
  private async restore(): Promise<void> {
    const { reporter, rules, sweep } = this.dependencies
    const restored = new Set<Loss>()
    const left = new Set<Loss>()
    const rest = () => [...this.lost.values()].filter((loss) => !restored.has(loss) && !left.has(loss))
    let armed = 0
    try {
      for (let losses = rest(); losses.length > 0; losses = rest()) {
        void sweep.run() // settles what came due meanwhile
        const again = await sweep.armAgain(kindsOf(losses))
        armed += again.armed
        for (const loss of losses) {
          const isRestored = !again.away.has(loss.partition) && (await this.noteRestored(loss))
          if (isRestored) restored.add(loss)
          else left.add(loss)
        }
      }
    } catch {
      return
    }
    for (const [name, loss] of this.lost) if (restored.has(loss)) this.lost.delete(name)
    if (restored.size === 0) return
    const kinds = kindsOf(restored)
    const nodesLeft = new Set([...left].map(({ node }) => node))
    const nodes = [...new Set([...restored].map(({ node }) => node))].filter((node) => !nodesLeft.has(node))
    reporter.restored(
      kinds,
      armed,
      kinds.filter((kind) => !isSwept(rules.get(kind))),
      nodes,
    )
  }

  private async noteRestored({ kind, partition }: Loss): Promise<boolean> {
    try {
      await this.dependencies.redis.leases.restored(kind, partition)
      return true
    } catch {
      return false
    }
  }
}

function kindsOf(losses: Iterable<Loss>): string[] {
  return [...new Set([...losses].map(({ kind }) => kind))]
}
