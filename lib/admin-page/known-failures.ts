// The orders on which the rules failed, as the statements of the page bind them. With many dead letters fetching their ids is the slowest part of a
// screen, so they are fetched again only if some were added or removed.

import { keptFailures } from '../admin/kept-failures.js'
import type { FailedIds } from '../redis/failed-timers.js'
import type { Runtime } from '../timers/runtime.js'
import { Remembered } from './remembered.js'

export interface KnownFailures extends FailedIds {
  /** The dead letters and the orders that are tried again, as text[] literals. */
  bind: readonly [string, string]
  /** False if Redis never said which they are: then none is known, which is not none. */
  isKnown: boolean
}

interface Fetched {
  mark: string
  at: number
  failures: KnownFailures
}

const WAIT_MS = 1_000

/** While orders are tried again, one may have been added as another left, and the mark stays the same. */
const UNSEEN_MS = 10_000

export class FailuresOfRules {
  private readonly known = new Remembered<KnownFailures>({ freshMs: 2_000, waitMs: 50, maxAgeMs: 15_000 })
  private readonly fetched = new Map<string, Fetched>()

  constructor(private readonly runtime: Runtime) {}

  /** While Redis does not answer, those that it last named: dead letters stay dead. Never rejects. */
  async of(kind: string): Promise<KnownFailures> {
    return (await this.known.get(kind, () => this.look(kind))).value
  }

  /** After an act. */
  forget(): void {
    this.known.forget()
    this.fetched.clear()
  }

  private async look(kind: string): Promise<KnownFailures> {
    const mark = await this.runtime.redis?.failures.mark(kind, WAIT_MS).catch(() => undefined)
    const last = this.fetched.get(kind)
    if (last && last.mark === mark && (last.failures.retrying.length === 0 || performance.now() - last.at < UNSEEN_MS)) return last.failures
    const { failed } = await keptFailures(this.runtime, kind)
    if (!failed && last) return last.failures
    const { dead, retrying } = failed ?? { dead: [], retrying: [] }
    const failures: KnownFailures = { dead, retrying, bind: [arrayLiteral(dead), arrayLiteral(retrying)], isKnown: failed !== undefined }
    if (mark !== undefined && failed) this.fetched.set(kind, { mark, at: performance.now(), failures })
    return failures
  }
}

/** pg would build it from the array each time that it is bound. */
function arrayLiteral(ids: readonly string[]): string {
  if (!/[\\"]/.test(ids.join(''))) return ids.length === 0 ? '{}' : `{"${ids.join('","')}"}` // a hundred thousand at once
  return `{${ids.map((id) => `"${id.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`
}
