// Claims ids in several partitions of a cluster's index, separately for each. The wait for a partition whose node is down is no longer than the
// leases of the others, and then it is skipped for a while, so that only its own share is affected.

import { OrderTimersError } from '../../errors.js'
import type { Claim } from '../../redis/claim.js'
import { within } from '../../wait.js'

const WAIT_MS = 1_000

/** How long such a partition is skipped. */
const AWAY_MS = 5_000

/** What was claimed under one token. */
export interface PartedClaim<T extends Claim> extends Claim {
  claims: T[]
  partitions: number[]
  /** The ids whose node did not answer, or refused. */
  unclaimed: string[]
}

export class PartedClaims {
  /** By partition: skipped until this time of `performance.now()`. */
  private readonly awayUntil = new Map<number, number>()

  /**
   * @param claim claims the ids of one partition
   * @param giveBack releases a claim that came too late
   * @throws what a claim throws, if none succeeds
   */
  async claim<T extends Claim>(
    token: string,
    parts: ReadonlyMap<number, string[]>,
    claim: (partition: number, ids: readonly string[]) => Promise<T>,
    giveBack: (partition: number) => void,
  ): Promise<PartedClaim<T>> {
    const all: PartedClaim<T> = { token, ids: [], claims: [], partitions: [], unclaimed: [] }
    let failure: unknown
    await Promise.all(
      [...parts].map(async ([partition, ids]) => {
        try {
          const claimed = await this.inTime(partition, () => claim(partition, ids), giveBack)
          all.claims.push(claimed)
          all.ids.push(...claimed.ids)
          if (claimed.ids.length > 0) all.partitions.push(partition)
        } catch (error) {
          failure = error
          all.unclaimed.push(...ids)
        }
      }),
    )
    if (all.claims.length === 0 && failure !== undefined) throw failure
    return all
  }

  private async inTime<T>(partition: number, claim: () => Promise<T>, giveBack: (partition: number) => void): Promise<T> {
    const now = performance.now()
    if (now < (this.awayUntil.get(partition) ?? 0)) throw unanswered(partition)
    const claiming = claim()
    const claimed = await within(
      WAIT_MS,
      claiming.then(
        (value) => ({ value }),
        (error) => ({ error }),
      ),
    )
    if (claimed && 'value' in claimed) return claimed.value
    this.awayUntil.set(partition, performance.now() + AWAY_MS)
    if (claimed) throw claimed.error
    claiming.then(
      () => giveBack(partition),
      () => {},
    )
    throw unanswered(partition)
  }
}

function unanswered(partition: number): OrderTimersError {
  return new OrderTimersError('REDIS_UNAVAILABLE', `orderTimers: the node of partition ${partition} does not answer`)
}
