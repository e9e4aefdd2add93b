// The timers' own keys in a cluster, where each has a slot of its own, which no script may touch: they are set and removed after the script, each at
// its node. A key that is missing costs nothing, since the alarm needs none. One that is left behind costs a needless event where a row has the deadline;
// of a timer that Redis alone has it must not be left behind (see cluster-timers.ts).

import type { Redis } from 'ioredis'
import type { Keys } from '../keys.js'
import { within } from '../wait.js'
import type { ArmedTimer } from './arm-batches.js'
import { scripts } from './script-calls.js'

/** How long a call waits for the nodes of the keys. What is cancelled later must find the key, but a node that is away holds up nobody for long. */
const WAIT_MS = 100

/** How long the worker waits to learn whether a key that has expired was set again. */
const LOOK_MS = 1_000

export class TimerKeys {
  constructor(private readonly keys: Keys) {}

  /** Never rejects. */
  async set(client: Redis, kind: string, timers: readonly ArmedTimer[]): Promise<void> {
    const set = timers.map(({ id, deadlineMs }) => client.set(this.keys.timer(kind, id), '1', 'PXAT', Math.ceil(deadlineMs)))
    await within(WAIT_MS, Promise.allSettled(set))
  }

  /** Removes them without an event, also those past their expiry, and waits for no answer. */
  drop(client: Redis, kind: string, ids: readonly string[]): void {
    for (const id of ids) {
      client.sinterstore(this.keys.timer(kind, id), this.keys.nothingBeside(kind, id)).catch(() => {})
    }
  }

  /** @returns whether there was one @throws as the client does */
  async remove(client: Redis, kind: string, id: string): Promise<boolean> {
    return (await client.unlink(this.keys.timer(kind, id))) === 1
  }

  /** @returns whether there was one, as far as its node says. Never rejects. */
  async tryToRemove(client: Redis, kind: string, id: string): Promise<boolean> {
    const removed = this.remove(client, kind, id).catch(() => false)
    return (await within(WAIT_MS, removed)) ?? false
  }

  /** When a key expires, by the clock of its node; undefined where there is none. @throws as the client does */
  async expiry(client: Redis, kind: string, id: string): Promise<number | undefined> {
    const expiry = await scripts(client).orderTimersKeyExpires(this.keys.timer(kind, id))
    return expiry === '' ? undefined : Number(expiry)
  }

  /** Those of the ids that have no key, and those whose node does not say. Never rejects. */
  async looked(client: Redis, kind: string, ids: readonly string[]): Promise<{ without: string[]; unknown: string[] }> {
    const found = await Promise.all(
      ids.map((id) =>
        within(
          LOOK_MS,
          client.exists(this.keys.timer(kind, id)).catch(() => undefined),
        ),
      ),
    )
    return { without: ids.filter((_, i) => found[i] === 0), unknown: ids.filter((_, i) => found[i] === undefined) }
  }
}
