// Whether the data in this Redis are ones that this version understands. Each version notes there which layout it writes, and one that finds a newer
// layout serves nothing: what it would misread there may be anything. The sweep over Postgres settles meanwhile.

import type { Redis } from 'ioredis'
import { LAYOUT, VERSION } from '../version.js'
import { Attempts } from './attempts.js'

const ASK_EVERY_MS = 5_000

/** A later version of this package has written here. */
export class NewerLayout extends Error {
  readonly remedy = 'run that version or a later one here too, or give this one a "prefix" of its own'

  constructor(layout: number, version: string) {
    super(
      `its timers were written by express-order-timers ${version} in layout ${layout}, and this is ${VERSION}, which understands layout ${LAYOUT}`,
    )
  }
}

export class Layout {
  /** Resolves when it is known of the present connection. */
  known: Promise<void> = Promise.resolve()
  private isKnown: boolean
  private newer: NewerLayout | undefined
  private readonly later = new Attempts(ASK_EVERY_MS)

  /** @param key where the layout is noted; undefined where that does not matter */
  constructor(
    private readonly client: Redis,
    private readonly key: string | undefined,
  ) {
    this.isKnown = key === undefined
  }

  /** False until it is known that this version understands the data. */
  get understood(): boolean {
    return this.isKnown && !this.newer
  }

  /**
   * Of a new connection.
   * @param onNewer called where a later version has written here
   * @param onUnderstood called when it is known that this version understands the data, at last
   */
  look(onNewer: (error: NewerLayout) => void, onUnderstood: () => void): void {
    const { key } = this
    if (key === undefined) {
      onUnderstood()
      return
    }
    this.end()
    const known = this.read(key).then((newer) => {
      if (this.known !== known) return // another connection by now
      this.isKnown = true
      this.newer = newer
      if (newer) {
        onNewer(newer)
        this.later.start(() => this.isOver(key), onUnderstood)
      } else onUnderstood()
    })
    this.known = known
  }

  /** The connection has ended. */
  end(): void {
    this.later.end()
    this.isKnown = this.key === undefined
    this.newer = undefined
  }

  private async isOver(key: string): Promise<boolean> {
    this.newer = await this.read(key)
    return this.newer === undefined
  }

  /** A Redis that does not say so, or not to this user, is taken for one that this version understands. */
  private async read(key: string): Promise<NewerLayout | undefined> {
    try {
      const [layout, version] = await this.client.hmget(key, 'layout', 'version')
      return Number(layout) > LAYOUT ? new NewerLayout(Number(layout), version ?? 'of an unknown version') : undefined
    } catch {
      return undefined
    }
  }
}
