// The timers' own keys in a cluster. Each has its own slot, which no script may touch: they are set and removed after the script, each on
// its node. A missing key has no effect, since the alarm needs none. If a row has the deadline, a key that is left behind only causes a needless event;
// if the timer is only in Redis, the key must not be left behind (see cluster-timers.ts).

import type { Redis } from 'ioredis'
import type { Keys } from '../keys.js'
import { within } from '../wait.js'
import type { ArmedTimer } from './arm-batches.js'
import { NodeBatches } from './node-batches.js'
import { scripts } from './script-calls.js'
import { sentBy } from './send-limits.js'

/** How long a call waits for the nodes of the keys. A later `cancel` must find the key, but a node that is down must not delay calls for long. */
const WAIT_MS = 100

/** How long the worker waits to learn whether a key that has expired was set again. */
const LOOK_MS = 1_000

export class TimerKeys {
  constructor(
    private readonly keys: Keys,
    private readonly batches = new NodeBatches(),
  ) {}

  /** Never rejects. */
  async set(client: Redis, kind: string, timers: readonly ArmedTimer[]): Promise<void> {
    const set = ({ id, deadlineMs }: ArmedTimer) => {
      const key = this.keys.timer(kind, id)
      return this.batches.add(client, key, (to) => to.set(key, '1', 'PXAT', Math.ceil(deadlineMs)))
    }
    await within(WAIT_MS, Promise.allSettled(sentBy(performance.now() + WAIT_MS, () => timers.map(set)))) // a later one could undo a `cancel`
  }

  /** Removes them without an event, even those past their expiry, and does not wait for an answer. */
  drop(client: Redis, kind: string, ids: readonly string[]): void {
    sentBy(performance.now() + WAIT_MS, () => this.removeSilently(client, kind, ids)).catch(() => {})
  }

  /** Removes them without an event, also on one server. @throws as the client does */
  async removeSilently(client: Redis, kind: string, ids: readonly string[]): Promise<void> {
    const remove = (id: string) => {
      const key = this.keys.timer(kind, id)
      const nothing = this.keys.nothingBeside(kind, id)
      return this.batches.add(client, key, (to) => to.sinterstore(key, nothing))
    }
    await Promise.all(ids.map(remove))
  }

  /** @returns whether there was one @throws as the client does */
  async remove(client: Redis, kind: string, id: string): Promise<boolean> {
    return (await client.unlink(this.keys.timer(kind, id))) === 1
  }

  /** @returns whether there was one, as far as its node answers. Never rejects. */
  async tryToRemove(client: Redis, kind: string, id: string): Promise<boolean> {
    const removed = this.remove(client, kind, id).catch(() => false)
    return (await within(WAIT_MS, removed)) ?? false
  }

  /** When a key expires, by the clock of its node; undefined if there is none. @throws as the client does */
  async expiry(client: Redis, kind: string, id: string): Promise<number | undefined> {
    const expiry = await scripts(client).orderTimersKeyExpires(this.keys.timer(kind, id))
    return expiry === '' ? undefined : Number(expiry)
  }

  /** The ids that have no key, and those whose node does not answer. Never rejects. */
  async looked(client: Redis, kind: string, ids: readonly string[]): Promise<{ without: string[]; unknown: string[] }> {
    const found = await Promise.all(
      ids.map((id) => {
        const key = this.keys.timer(kind, id)
        const look = this.batches.add(client, key, (to) => to.exists(key))
        return within(
          LOOK_MS,
          look.catch(() => undefined),
        )
      }),
    )
    return { without: ids.filter((_, i) => found[i] === 0), unknown: ids.filter((_, i) => found[i] === undefined) }
  }
}
