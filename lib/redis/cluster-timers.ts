// Removes or moves one timer in a cluster, where its entry and its own key may be on two nodes. If a timer is only in Redis, a key that is
// left behind would carry it out at its old deadline. So the node of the key must answer before anything is acknowledged. Timers with a row need no such
// care: the row decides.

import type { Redis } from 'ioredis'
import type { Keys } from '../keys.js'
import { scripts } from './script-calls.js'
import { sentBy } from './send-limits.js'
import type { TimerKeys } from './timer-keys.js'

type Answer = string[] | null

/** The arguments of disarm.lua or postpone.lua that follow its keys, without the key's expiry. */
type Values = readonly (string | number)[]

export class ClusterTimers {
  constructor(
    private readonly keys: Keys,
    private readonly timerKeys: TimerKeys,
  ) {}

  /**
   * @param deadlineMs undefined for any; then the timer is only in Redis
   * @param toleranceMs as in disarm.lua. If it is not '', the timer is only in Redis
   * @param waitMs how long the caller waits: a removal that was refused is not finished later
   * @returns as disarm.lua does
   * @throws as the client does
   */
  async disarm(client: Redis, kind: string, id: string, deadlineMs: number | undefined, toleranceMs: number | '', waitMs: number) {
    const sets = this.sets(kind, id)
    const latest = performance.now() + waitMs
    const disarm = (expiry: number | '') =>
      sentBy(latest, () =>
        scripts(client).orderTimersDisarm(3, sets.due, sets.failures, sets.tombstones, id, deadlineMs ?? '', toleranceMs, expiry),
      )
    if (deadlineMs === undefined) {
      const hadKey = await this.timerKeys.remove(client, kind, id) // first: while this fails, the timer stays as it is
      if (performance.now() > latest) throw new Error('the node of its key answered too late')
      return Math.max(Number(await disarm('')), hadKey ? 1 : 0)
    }
    const expiry = toleranceMs === '' ? undefined : await this.timerKeys.expiry(client, kind, id)
    const removed = Number(await disarm(expiry ?? ''))
    if (removed === -1) return removed
    const hadKey = await (toleranceMs === '' ? this.timerKeys.tryToRemove(client, kind, id) : this.timerKeys.remove(client, kind, id))
    return Math.max(removed, hadKey ? 1 : 0)
  }

  /** @param values of postpone.lua @returns as postpone.lua does @throws as the client does */
  async postpone(client: Redis, kind: string, id: string, values: Values): Promise<Answer> {
    const { due } = this.sets(kind, id)
    const move = async (expiry: number | '') => (await scripts(client).orderTimersPostpone(1, due, ...values, expiry)) as Answer
    if (values[2] === 'now') return this.makeDue(client, kind, id, move)
    const moved = (await move('')) ?? (await this.moveKey(client, kind, id, move))
    if (moved?.[1] !== undefined) await this.timerKeys.set(client, kind, [{ id, deadlineMs: Number(moved[1]) }])
    return moved
  }

  /** The key would expire at the old deadline. It is removed first, unless only the key shows that there is a timer. */
  private async makeDue(client: Redis, kind: string, id: string, move: (expiry: number | '') => Promise<Answer>): Promise<Answer> {
    const isInIndex = (await client.zscore(this.sets(kind, id).due, id)) !== null
    if (isInIndex) {
      await this.timerKeys.remove(client, kind, id)
      return move('')
    }
    const moved = await this.moveKey(client, kind, id, move)
    if (moved?.[1] !== undefined) await this.timerKeys.remove(client, kind, id)
    return moved
  }

  private async moveKey(client: Redis, kind: string, id: string, move: (expiry: number) => Promise<Answer>): Promise<Answer> {
    const expiry = await this.timerKeys.expiry(client, kind, id)
    return expiry === undefined ? null : move(expiry)
  }

  private sets(kind: string, id: string) {
    return this.keys.sets(kind, this.keys.partitionOf(id))
  }
}
