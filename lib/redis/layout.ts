// Whether this version understands the data in this Redis. Each version records the layout that it writes. A version that finds a newer
// layout does not use Redis, since it could misread anything there. The sweep over Postgres settles meanwhile.

import type { Redis } from 'ioredis'
import type { Keys } from '../keys.js'
import { MOST_PARTITIONS } from '../slots.js'
import { LAYOUT, VERSION } from '../version.js'
import { Attempts } from './attempts.js'
import { isReply } from './replies.js'

const ASK_EVERY_MS = 5_000

/** The number of partitions of a cluster's index. */
const PARTITIONS = 'partitions'

/** A later version of this package has written here. */
export class NewerLayout extends Error {
  readonly remedy = 'run that version or a later one here too, or give this one a "prefix" of its own'

  constructor(layout: number, version: string) {
    super(
      `its timers were written by express-order-timers ${version} in layout ${layout}, and this is ${VERSION}, which understands layout ${LAYOUT}`,
    )
  }
}

/** `unanswered`: of a cluster, the node that has it may be away while the others serve. */
type Answer = NewerLayout | 'understood' | 'unanswered'

export class Layout {
  /** Resolves when it is known for the present connection. */
  known: Promise<void> = Promise.resolve()
  private isKnown: boolean
  private newer: NewerLayout | undefined
  private readonly later = new Attempts(ASK_EVERY_MS)

  /** @param keys gets the number of partitions of a cluster's index; undefined if that does not matter */
  constructor(
    private readonly client: Redis,
    private readonly keys: Keys | undefined,
  ) {
    this.isKnown = keys === undefined
  }

  /** False until it is known that this version understands the data. */
  get understood(): boolean {
    return this.isKnown && !this.newer
  }

  /**
   * For a new connection.
   * @param onNewer called where a later version has written here
   * @param onUnderstood called when it is known that this version understands the data, at last
   */
  look(onNewer: (error: NewerLayout) => void, onUnderstood: () => void): void {
    const { keys } = this
    if (keys === undefined) {
      onUnderstood()
      return
    }
    this.end()
    const take = (answer: Answer): boolean => {
      const { newer } = this
      if (answer !== 'unanswered') this.newer = answer === 'understood' ? undefined : answer
      if (!this.newer) onUnderstood()
      else if (!newer) onNewer(this.newer)
      return answer === 'understood'
    }
    const known = this.read(keys).then((answer) => {
      if (this.known !== known) return // another connection by now
      this.isKnown = true
      if (take(answer)) return
      const askAgain = async () => {
        const later = await this.read(keys)
        return this.known === known && this.isKnown && take(later)
      }
      this.later.start(askAgain, () => {})
    })
    this.known = known
  }

  /** The connection has ended. */
  end(): void {
    this.later.end()
    this.isKnown = this.keys === undefined
    this.newer = undefined
  }

  /** A Redis that does not say so to this user is taken for one that this version understands. */
  private async read(keys: Keys): Promise<Answer> {
    try {
      if (keys.inCluster) await this.client.hsetnx(keys.layout, PARTITIONS, keys.partitions).catch(() => {}) // the first process decides
      const [layout, version, partitions] = await this.client.hmget(keys.layout, 'layout', 'version', PARTITIONS)
      if (keys.inCluster && isCount(partitions)) keys.partitions = Number(partitions)
      return Number(layout) > LAYOUT ? new NewerLayout(Number(layout), version ?? 'of an unknown version') : 'understood'
    } catch (error) {
      return isReply(error) ? 'understood' : 'unanswered'
    }
  }
}

function isCount(text: string | null | undefined): boolean {
  return Number.isInteger(Number(text)) && Number(text) >= 1 && Number(text) <= MOST_PARTITIONS
}
