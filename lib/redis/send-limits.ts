// Until when a cluster's client may send a command. ioredis keeps commands for seconds, while it connects to a node or learns which one serves a slot, and
// sends them after their callers have gone on. An old `schedule` would then undo a `cancel` that has been acknowledged since. A command with a limit is sent in
// time, or it fails.

import type { Cluster, Command, Redis } from 'ioredis'

type Send = (command: Command, ...more: unknown[]) => unknown

/** By `performance.now()`. */
const limits = new WeakMap<Command, number>()

/** The limit of the commands that are being created; infinite for none. */
let limit = Number.POSITIVE_INFINITY

/** @param send creates commands before it returns; those that it creates later have no limit */
export function sentBy<T>(latest: number, send: () => T): T {
  const before = limit
  limit = Math.min(before, latest)
  try {
    return send()
  } finally {
    limit = before
  }
}

/** By `performance.now()`; infinite for none. */
export function presentLimit(): number {
  return limit
}

export function noteLimits(cluster: Cluster): void {
  const client = cluster as unknown as { sendCommand: Send }
  const send = client.sendCommand.bind(client)
  client.sendCommand = (command, ...more) => {
    if (limit !== Number.POSITIVE_INFINITY) limits.set(command, limit)
    return send(command, ...more)
  }
}

/** @param node a connection of the cluster's client */
export function keepLimits(node: Redis): void {
  const client = node as unknown as { sendCommand: Send }
  const send = client.sendCommand.bind(client)
  let afterAsking = false
  client.sendCommand = (command, stream) => {
    const mustFollow = afterAsking || stream !== undefined // a part of a pipeline cannot be left out, nor what ASKING was sent for
    afterAsking = command.name === 'asking'
    if (mustFollow || performance.now() <= (limits.get(command) ?? Number.POSITIVE_INFINITY)) return send(command, stream)
    command.reject(new Error('its node could not be reached in time'))
    return command.promise
  }
}
