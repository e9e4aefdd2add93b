// `dryRun`: what would be settled, told once for each deadline although the sweep comes across it again and again.

import type { Log } from '../../logger.js'
import type { SettledOrder } from '../../rows/settlement.js'
import type { WorkerEmitter } from '../events.js'
import type { Work } from './claims.js'

/** How many orders are remembered as told. */
const MOST_REMEMBERED = 100_000

export class DryRun {
  private readonly told = new Map<string, number | null>()

  constructor(
    private readonly events: WorkerEmitter,
    private readonly log: Log,
  ) {}

  tell({ kind, via }: Work, orders: SettledOrder[]): void {
    const fresh = orders.filter(({ id, deadline }) => this.told.get(`${kind}:${id}`) !== deadline)
    if (fresh.length === 0) return
    if (this.told.size > MOST_REMEMBERED) this.told.clear()
    for (const { id, deadline } of fresh) this.told.set(`${kind}:${id}`, deadline)
    this.log('info', `${kind}: ${fresh.length} would be settled (dryRun)`, { kind, via, count: fresh.length })
    this.events.tell('dryRun', { kind, via, orders: fresh })
  }
}
