// Commands and scripts for keys anywhere in a cluster. Those of one turn of the event loop go to each node in one message: reading a message costs a server more than
// a small command. The turn ends with `setImmediate`: after the answers on all connections have been read.

import type { ClientContext, Redis, RedisCommander } from 'ioredis'
import { servedBy } from './primaries.js'

/** A client, or a pipeline of it. */
export type Sender = RedisCommander<ClientContext>

interface Pending {
  key: string
  send: (to: Sender) => unknown
  resolve: (answer: unknown) => void
  reject: (error: unknown) => void
}

/** The slot of a key is moving, or has moved: the client follows such an answer to a single command. */
const TO_BE_SENT_ALONE = /^(?:MOVED|ASK|TRYAGAIN) /

export class NodeBatches {
  private readonly pending = new Map<Redis, Pending[]>()

  /**
   * @param send a command for this key; it may be sent twice
   * @returns its answer
   * @throws as the client does
   */
  add(client: Redis, key: string, send: (to: Sender) => unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const one = { key, send, resolve, reject }
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
      const node = servedBy(client, one.key)
      const others = byNode.get(node)
      if (others) others.push(one)
      else byNode.set(node, [one])
    }
    this.pending.delete(client)
    for (const [node, commands] of byNode) {
      if (node === undefined || commands.length === 1) for (const one of commands) alone(client, one)
      else void together(client, commands)
    }
  }
}

async function together(client: Redis, commands: readonly Pending[]): Promise<void> {
  const pipeline = client.pipeline()
  for (const { send } of commands) send(pipeline)
  const answers = await pipeline.exec().catch(() => null) // nothing was sent: the nodes of the keys have changed
  for (const [i, one] of commands.entries()) {
    const [error, answer] = answers?.[i] ?? []
    if (answers === null || (error && TO_BE_SENT_ALONE.test(error.message))) alone(client, one)
    else if (error) one.reject(error)
    else one.resolve(answer)
  }
}

function alone(client: Redis, { send, resolve, reject }: Pending): void {
  Promise.resolve(send(client)).then(resolve, reject)
}
