// Keeps a cluster's client up to date about which node serves which slots, also where no command shows that slots have moved. ioredis's own interval
// would keep the process running.

import type { Cluster, Redis } from 'ioredis'

const REFRESH_EVERY_MS = 5_000

/** @returns ends it */
export function keepUpToDate(client: Redis): () => void {
  const cluster = client as unknown as Cluster
  const timer = setInterval(() => {
    if (cluster.status === 'ready') cluster.refreshSlotsCache()
  }, REFRESH_EVERY_MS).unref()
  return () => clearInterval(timer)
}
