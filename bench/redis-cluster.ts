// A Redis Cluster of its own for one measured run: so many primaries without replicas, each with its share of the slots, on loopback.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.js'
import { type RedisServer, startRedis } from './redis-server.js'

const SLOTS = 16_384
const WHOLE_WITHIN_MS = 20_000

export interface RedisCluster {
  nodes: RedisServer[]
  stop(): Promise<void>
}

export async function startCluster(primaries: number): Promise<RedisCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'order-timers-bench-'))
  const nodes: RedisServer[] = []
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()))
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const buses: number[] = []
    for (let i = 0; i < primaries; i += 1) {
      const bus = await freePort()
      const own = [
        '--cluster-enabled',
        'yes',
        '--cluster-announce-ip',
        '127.0.0.1',
        '--cluster-port',
        `${bus}`,
        '--cluster-config-file',
        `nodes-${i}.conf`,
        '--dir',
        directory,
      ]
      nodes.push(await startRedis(own))
      buses.push(bus)
    }
    await Promise.all(nodes.map(({ client }, i) => client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)))
    await Promise.all(nodes.map(({ client }, i) => client.call('CLUSTER', 'ADDSLOTSRANGE', ...share(i, primaries))))
    const [first] = nodes
    for (const [i, { url }] of nodes.entries()) {
      if (i > 0) await first?.client.call('CLUSTER', 'MEET', '127.0.0.1', new URL(url).port, buses[i] as number)
    }
    await areWhole(nodes)
    return { nodes, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function areWhole(nodes: readonly RedisServer[]): Promise<void> {
  const limit = performance.now() + WHOLE_WITHIN_MS
  for (;;) {
    const states = await Promise.all(nodes.map(({ client }) => client.call('CLUSTER', 'INFO') as Promise<string>))
    if (states.every((text) => /^cluster_state:ok/m.test(text) && text.includes(`cluster_known_nodes:${nodes.length}`))) return
    if (performance.now() > limit) throw new Error(`bench: the cluster's slots were not all served within ${WHOLE_WITHIN_MS / 1000} s`)
    await sleep(50)
  }
}

/** The i-th of so many equal parts of all slots. */
function share(i: number, parts: number): [first: number, last: number] {
  return [Math.ceil((i * SLOTS) / parts), Math.ceil(((i + 1) * SLOTS) / parts) - 1]
}
