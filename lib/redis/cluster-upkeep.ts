// Keeps a cluster's client true to what is promised of every connection: it knows which node serves which slots, also where no command shows that slots
// have moved, and it sends no command a second time that a server may have carried out.

import type { Cluster, Redis } from 'ioredis'

/** ioredis's own interval would keep the process running. */
const REFRESH_EVERY_MS = 5_000

/** A node that is away is asked about by each command to it, of which there may be many. */
const REFRESH_AT_MOST_EVERY_MS = 250

/** ioredis sends a command again that fails with this text, through whichever node serves its slot by then. */
const CLOSED = 'Connection is closed.'

/** What ioredis's `Redis` has and its types do not. */
interface Internals {
  flushQueue?(error: Error, queues?: { offlineQueue?: boolean; commandQueue?: boolean }): void
}

export interface Upkeep {
  /** A command to a node was not answered: its slots may be served by another one by now. */
  doubt(): void
  end(): void
}

export function keepUpToDate(client: Redis): Upkeep {
  const cluster = client as unknown as Cluster
  let refreshedAt = Number.NEGATIVE_INFINITY
  const refresh = () => {
    if (cluster.status !== 'ready') return
    refreshedAt = performance.now()
    cluster.refreshSlotsCache()
  }
  cluster.on('+node', sendsOnce)
  for (const event of ['ready', 'refresh']) cluster.on(event, () => setImmediate(connectAll, cluster))
  const timer = setInterval(refresh, REFRESH_EVERY_MS).unref()
  return {
    doubt() {
      if (performance.now() - refreshedAt >= REFRESH_AT_MOST_EVERY_MS) refresh()
    },
    end: () => clearInterval(timer),
  }
}

/** ioredis connects to a node with the first command to it, and refuses others until it is connected; also its own, before the cluster is ready. */
function connectAll(cluster: Cluster): void {
  if (cluster.status !== 'ready') return
  for (const node of cluster.nodes('master')) if (node.status === 'wait') node.connect().catch(() => {}) // told where a command fails
}

/**
 * A claim that is carried out twice under one token would forget what the first took. So a command that was sent, and whose connection closed before
 * its answer, fails with another text. What was not sent yet is sent again.
 */
function sendsOnce(node: Redis): void {
  const internals = node as unknown as Internals
  const flushQueue = internals.flushQueue?.bind(node)
  if (!flushQueue) return
  internals.flushQueue = (error, queues) => {
    if (error.message === CLOSED && queues?.commandQueue !== false)
      flushQueue(new Error('the connection was closed before the answer'), { offlineQueue: false })
    flushQueue(error, queues)
  }
}
