// Makes a cluster's client keep the promises of every connection: it knows which node serves which slots, even if no command shows that slots
// have moved, it never resends a command that a server may have carried out, and it never gives up connecting.

import type { Cluster, Redis } from 'ioredis'
import { ANSWERED_WITHIN_MS } from './own-options.js'
import { withOurReadyCheck } from './ready-check.js'
import { keepLimits, noteLimits } from './send-limits.js'

/** ioredis's own interval would keep the process running. */
const REFRESH_EVERY_MS = 5_000

/** Every command to a node that does not answer asks for the slots, and there may be many. */
const REFRESH_AT_MOST_EVERY_MS = 250

/** ioredis stays closed if a late `end` of a former connection comes while it looks up host names. Otherwise it is closed for a moment. */
const CLOSED_AT_MOST_MS = 1_000

/** ioredis resends a command that fails with this text, to the node that then serves its slot. */
const CLOSED = 'Connection is closed.'

/** Members of ioredis's `Redis` that its types lack. */
interface Internals {
  flushQueue?(error: Error, queues?: { offlineQueue?: boolean; commandQueue?: boolean }): void
}

export interface Upkeep {
  /** A command to a node was not answered: another node may serve its slots now. */
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
  noteLimits(cluster)
  cluster.on('+node', (node: Redis) => {
    catchAsking(node)
    keepLimits(node)
    sendsOnce(node)
    withOurReadyCheck(node)
  })
  for (const event of ['ready', 'refresh']) cluster.on(event, () => setImmediate(connectAll, cluster))
  const timer = setInterval(refresh, REFRESH_EVERY_MS).unref()
  let stuck: NodeJS.Timeout | undefined
  let ended = false
  const limit = (status: string, mostMs: number, act: () => void) =>
    cluster.on(status, () => {
      clearTimeout(stuck)
      if (!ended) stuck = setTimeout(() => cluster.status === status && act(), mostMs).unref()
    })
  // It asks one node whether the cluster is well, and would wait for one that loads its data. The next time it may ask another.
  limit('connect', ANSWERED_WITHIN_MS, () => cluster.disconnect(true))
  limit('close', CLOSED_AT_MOST_MS, () => cluster.connect().catch(() => {}))
  return {
    doubt() {
      if (performance.now() - refreshedAt >= REFRESH_AT_MOST_EVERY_MS) refresh()
    },
    end() {
      ended = true // a late `close` may follow
      clearInterval(timer)
      clearTimeout(stuck)
    },
  }
}

/** ioredis connects to a node on the first command to it, and refuses further ones until it is connected, even its own before the cluster is ready. */
function connectAll(cluster: Cluster): void {
  if (cluster.status !== 'ready') return
  for (const node of cluster.nodes('master')) if (node.status === 'wait') node.connect().catch(() => {}) // the failing command reports it
}

/** ioredis sends ASKING before a command and does not look at its answer: unhandled, its failure would end the process. The command fails by itself. */
function catchAsking(node: Redis): void {
  const asking = node.asking.bind(node) as () => Promise<unknown>
  Object.assign(node, {
    asking: () => {
      const asked = asking()
      asked.catch(() => {})
      return asked
    },
  })
}

/**
 * A claim that is carried out twice under one token would overwrite what the first took. So a command that was sent, and whose connection closed before
 * the answer, fails with another text. Commands that were not sent yet are sent again.
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
