// A cluster that does not tell where one of its nodes is. A node learns its own address from another that it meets; until then CLUSTER SLOTS has an empty
// one (https://redis.io/docs/latest/commands/cluster-slots/), and ioredis connects to nobody for its slots.

import type { Cluster, Redis } from 'ioredis'

export class NoAddress extends Error {
  readonly remedy = 'set cluster-announce-ip in its redis.conf'

  constructor() {
    super('CLUSTER SLOTS has no address for the node that serves its slots')
  }
}

/** The reason behind an error that a client emits, or none yet: of a cluster's, that of the last node which it tried. */
export function troubleOf(client: Redis, error: unknown): unknown {
  const { slots } = client as unknown as Partial<Cluster>
  if (slots?.some((addresses) => addresses?.length === 0)) return new NoAddress()
  return (error as { lastNodeError?: Error } | undefined)?.lastNodeError ?? error
}
