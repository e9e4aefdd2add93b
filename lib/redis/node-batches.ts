// Commands and scripts for keys anywhere in a cluster. Those of one turn of the event loop go to each node in one message: reading a message costs a server more than
// a small command. The turn ends with `setImmediate`: after the answers on all connections have been read.

import type { ClientContext, Redis, RedisCommander } from 'ioredis'
import { openTo, servedBy } from './primaries.js'
import { presentLimit, sentBy } from './send-limits.js'

/** A client, or a pipeline of it. */
export type Sender = RedisCommander<ClientContext>

interface Pending {
  key: string
  /** By `performance.now()`. */
  latest: number
  send: (to: Sender) => unknown
  resolve: (answer: unknown) => void
  reject: (error: unknown) => void
}

/**
 * The slot of a key is moving or has moved, or its node went before the command was sent (see cluster-upkeep.ts): the cluster's client follows such an
 * answer to a single command.
 */
const TO_BE_SENT_ALONE = /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN) |^Connection is closed\.$/

export class NodeBatches {
  private readonly pending = new Map<Redis, Pending[]>()

  /**
   * @param send a command for this key; it may be sent twice
   * @returns its answer
   * @throws as the client does
   */
  add(client: Redis, key: string, send: (to: Sender) => unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const one = { key, latest: presentLimit(), send, resolve, reject }
      const others = this.pending.get(client)
      if (others) {
        others.push(one)
        return
      }
      this.pending.set(client, [one])
      setImmediate(() => this.flush(client))
    })
  }

  private flush(client: Redis): void {
    const byNode = new Map<string | undefined, Pending[]>()
    for (const one of this.pending.get(client) ?? []) {
      const address = servedBy(client, one.key)
      const others = byNode.get(address)
      if (others) others.push(one)
      else byNode.set(address, [one])
    }
    this.pending.delete(client)
    for (const [address, commands] of byNode) {
      const node = commands.length > 1 ? openTo(client, address) : undefined
      if (node) void together(client, node, commands)
      else for (const one of commands) alone(client, one)
    }
  }
}

/**
 * By the node's own connection, not by a pipeline of the cluster's client: where that has no connection to the node, it queues commands that it does not send, and
 * takes each later answer for the one before (ioredis 5.x, `Cluster.sendCommand` without an offline queue).
 */
async function together(client: Redis, node: Redis, commands: readonly Pending[]): Promise<void> {
  const pipeline = node.pipeline()
  for (const { send } of commands) send(pipeline)
  const answers = await pipeline.exec()
  for (const [i, one] of commands.entries()) {
    const [error, answer] = answers?.[i] ?? [new Error('no answer')]
    if (!error) one.resolve(answer)
    else if (TO_BE_SENT_ALONE.test(error.message)) alone(client, one)
    else one.reject(error)
  }
}

function alone(client: Redis, { latest, send, resolve, reject }: Pending): void {
  Promise.resolve(sentBy(latest, () => send(client))).then(resolve, reject)
}
