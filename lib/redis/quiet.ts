// Whether a connection keeps the process running. One that only a web process's heartbeat opened does not, so that a script that mounts the
// timers and makes no call ends by itself. The first use by anything else ends that.

import type { Socket } from 'node:net'
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'

/** How often the connections of a cluster's client are checked, since new ones appear. */
const LOOK_EVERY_MS = 100

type Retrying = Pick<RedisOptions, 'retryStrategy' | 'sentinelRetryStrategy'> & Pick<ClusterOptions, 'clusterRetryStrategy'>

export class Quiet {
  private quiet = false
  private looks: NodeJS.Timeout | undefined

  constructor(private readonly client: Redis) {
    client.on('connect', () => this.apply())
    // ioredis waits for its next attempt with a timer that keeps the process running. Without a next attempt it ends, and our own timer reopens it.
    const options: Retrying = client.options
    for (const name of ['retryStrategy', 'sentinelRetryStrategy', 'clusterRetryStrategy'] as const) {
      const retry = options[name]
      if (retry) options[name] = (times: number) => (this.quiet ? null : retry(times))
    }
  }

  get on(): boolean {
    return this.quiet
  }

  begin(): void {
    this.quiet = true
    if (isCluster(this.client)) this.looks = setInterval(() => this.apply(), LOOK_EVERY_MS).unref()
  }

  end(): void {
    if (!this.quiet) return
    this.quiet = false
    clearInterval(this.looks)
    this.apply()
  }

  stop(): void {
    clearInterval(this.looks)
  }

  private apply(): void {
    for (const { stream } of connectionsOf(this.client) as { stream?: Partial<Socket> }[]) {
      if (this.quiet) stream?.unref?.()
      else stream?.ref?.()
    }
  }
}

/** For a cluster's client: the connections to its nodes, and its unused one for subscriptions. */
function connectionsOf(client: Redis): Redis[] {
  if (!isCluster(client)) return [client]
  const { subscriber } = client as unknown as { subscriber?: { getInstance?(): Redis | null } }
  const ownOne = subscriber?.getInstance?.()
  return [...(client as unknown as Cluster).nodes('all'), ...(ownOne ? [ownOne] : [])]
}

function isCluster(client: Redis): boolean {
  return (client as { isCluster?: boolean }).isCluster === true
}
