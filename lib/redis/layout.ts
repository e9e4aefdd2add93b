// Whether this process may use the data in this Redis. Each version records the layout that it writes. A version that finds a newer
// layout does not use Redis, since it could misread anything there. The sweep over Postgres settles meanwhile.
//
// In a cluster an order's partition follows from the number of partitions. Processes with different numbers would not find each other's timers: one that
// only Redis has would be carried out although it was cancelled. So no process uses Redis beside another with another number.

import type { Redis } from 'ioredis'
import type { Keys } from '../keys.js'
import { show } from '../show.js'
import { MOST_PARTITIONS } from '../slots.js'
import { LAYOUT, VERSION } from '../version.js'
import { within } from '../wait.js'
import { Attempts } from './attempts.js'
import { flatHash } from './hash.js'
import { ANSWERED_WITHIN_MS } from './own-options.js'
import { isAliveByBeat, parseRecords, type SeenProcess } from './process-records.js'
import { isReply, replyFault } from './replies.js'

const ASK_EVERY_MS = 5_000

/** The number of partitions of a cluster's index. */
const PARTITIONS = 'partitions'

/** This process may not use the data. */
export class OtherLayout extends Error {
  constructor(
    message: string,
    readonly remedy: string,
  ) {
    super(message)
  }
}

/**
 * `unanswered`: of a cluster, the node that has it may be away, load its data or be busy while the others serve. A number: so many partitions, now
 * agreed.
 */
type Answer = OtherLayout | number | 'understood' | 'unanswered'

export class Layout {
  /** Resolves when it is known for the present connection. */
  known: Promise<void> = Promise.resolve()
  private isKnown: boolean
  private other: OtherLayout | undefined
  private readonly later = new Attempts(ASK_EVERY_MS)

  /** @param keys gets the number of partitions of a cluster's index; undefined if that does not matter */
  constructor(
    private readonly client: Redis,
    private readonly keys: Keys | undefined,
  ) {
    this.isKnown = keys === undefined
  }

  /** False until it is known that this process may use the data. */
  get understood(): boolean {
    return this.isKnown && !this.other
  }

  /**
   * For a new connection.
   * @param onOther called where it may not
   * @param onUnderstood called when it is known that this process may use the data, at last
   */
  look(onOther: (error: OtherLayout) => void, onUnderstood: () => void): void {
    const { keys } = this
    if (keys === undefined) {
      onUnderstood()
      return
    }
    this.end()
    const take = (answer: Answer): boolean => {
      const { other } = this
      if (typeof answer === 'number') keys.agree(answer)
      if (answer !== 'unanswered') this.other = answer instanceof OtherLayout ? answer : undefined
      if (!this.other) onUnderstood()
      else if (other?.message !== this.other.message) onOther(this.other)
      return answer !== 'unanswered' && !this.other
    }
    const read = async () => (await within(ANSWERED_WITHIN_MS, this.read(keys))) ?? 'unanswered'
    const known = read().then((answer) => {
      if (this.known !== known) return // another connection by now
      this.isKnown = true
      if (take(answer)) return
      const askAgain = async () => {
        const later = await read()
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
    this.other = undefined
  }

  /** A Redis that does not say so to this user is taken for one that this version understands. It changes nothing, since its answer may come too late. */
  private async read(keys: Keys): Promise<Answer> {
    try {
      if (keys.inCluster) await this.decide(keys)
      const [layout, version, partitions] = await this.client.hmget(keys.layout, 'layout', 'version', PARTITIONS)
      if (Number(layout) > LAYOUT) return newer(Number(layout), version ?? 'of an unknown version')
      return keys.inCluster && typeof partitions === 'string' ? await this.agree(keys, partitions) : 'understood'
    } catch (error) {
      return isRefusal(error) ? 'understood' : 'unanswered'
    }
  }

  /** The first process decides; one that may not write leaves it to others. */
  private async decide({ layout, partitions }: Keys): Promise<void> {
    await this.client.hsetnx(layout, PARTITIONS, partitions).catch((error) => {
      if (!isRefusal(error)) throw error
    })
  }

  private async agree(keys: Keys, said: string): Promise<Answer> {
    const { agreed } = keys
    const partitions = countOf(said)
    if (partitions !== undefined && agreed === partitions) return 'understood'
    const other = (await this.seen(keys))
      .filter((one) => isAliveByBeat(one) && one.partitions !== partitions)
      .reduce<SeenProcess | undefined>((most, one) => (numberOf(one) > numberOf(most) ? one : most), undefined)
    const largest = Math.max(partitions ?? 0, agreed ?? 0, numberOf(other))
    if (partitions === undefined) return unusable(keys, said, largest)
    const together = remedy(keys, partitions, largest)
    if (agreed !== undefined)
      return new OtherLayout(`its index was in ${agreed} partitions when this process began, and is in ${partitions} now`, together)
    if (other) return new OtherLayout(`its index is in ${partitions} partitions, and ${other.id} works with ${other.partitions}`, together)
    return partitions
  }

  /** None if this user may not see them. */
  private async seen(keys: Keys): Promise<SeenProcess[]> {
    try {
      const [time, records] = await Promise.all([this.client.time(), flatHash(this.client, keys.processes)])
      return parseRecords(records, Number(time[0]) * 1_000)
    } catch (error) {
      if (isRefusal(error)) return []
      throw error
    }
  }
}

function newer(layout: number, version: string): OtherLayout {
  const what = `its timers were written by express-order-timers ${version} in layout ${layout}`
  const remedy = 'run that version or a later one here too, or give this one a "prefix" of its own'
  return new OtherLayout(`${what}, and this is ${VERSION}, which understands layout ${LAYOUT}`, remedy)
}

/** Of more partitions some have the names of all of fewer: with the largest number no timer is in a partition that nobody looks at. */
function remedy(keys: Keys, partitions: number, largest: number): string {
  const set = partitions === largest ? '' : `HSET ${keys.layout} ${PARTITIONS} ${largest}, `
  return `${set}end all processes that work with another number than ${largest}, and then start them`
}

function numberOf(process: SeenProcess | undefined): number {
  return process?.partitions ?? 0
}

/** @param largest the largest number that a process works with; 0 if none is known */
function unusable(keys: Keys, said: string, largest: number): OtherLayout {
  const otherwise = largest === 0 ? ', or the number that it was in if that was changed' : ''
  const set = `HSET ${keys.layout} ${PARTITIONS} ${largest === 0 ? keys.partitions : largest}${otherwise}`
  return new OtherLayout(`its index is said to be in ${show(said)} partitions, which is no number from 1 to ${MOST_PARTITIONS}`, set)
}

/** How many partitions a text of the layout says; undefined if that is not usable. */
function countOf(text: string): number | undefined {
  const count = /^\d+$/.test(text) ? Number(text) : 0
  return count >= 1 && count <= MOST_PARTITIONS ? count : undefined
}

/** Whether an answer stays the same until a right or a setting is changed. Any other reply means that it cannot be said now. */
function isRefusal(error: unknown): boolean {
  return isReply(error) && replyFault(error) === 'REDIS_REFUSES'
}
