// The links: all hosts or one alone parted from a server, one direction lost, links that are slow, connections reset, replies dropped.
// Only the faults of this file change how links behave, one at a time.

import { setTimeout as delay } from 'node:timers/promises'
import type { Host } from '../host.js'
import type { Link } from '../link.js'
import { type End, type Faults, type Scene, traffic } from './fault.js'

export const NETWORK = {
  'redis-silent': {
    lasts: [1000, 4000],
    strike({ world, witness, random }) {
      return silent(random.chance(0.5) ? world.links('redis', world.workers) : world.links('redis'), witness)
    },
  },
  'redis-flapping': {
    lasts: [1000, 3000],
    strike: ({ world, witness, forMs }) => flapping(world.links('redis'), witness, forMs),
  },
  'redis-replies-dropped': {
    lasts: [500, 1500],
    strike: ({ world, witness }) => dropping(world.links('redis', world.workers), 'evalsha', witness),
  },
  'postgres-silent': {
    lasts: [500, 2500],
    strike: ({ world, witness }) => silent(world.links('postgres', world.workers), witness),
  },
  'postgres-flapping': {
    lasts: [500, 1500],
    strike: ({ world, witness, forMs }) => flapping(world.links('postgres'), witness, forMs),
  },
  'postgres-commits-unanswered': {
    lasts: [300, 1000],
    strike: ({ world, witness }) => dropping(world.links('postgres', world.workers), 'COMMIT', witness),
  },
  /** The shop cannot know whether its transaction was committed. */
  'shop-commits-unanswered': {
    lasts: [300, 1000],
    strike: ({ world, witness }) => dropping(world.links('postgres', world.shops), 'COMMIT', witness),
  },
  'one-worker-without-redis': {
    lasts: [1000, 4000],
    strike: ({ worker, witness }) => silent([worker.links.redis], witness),
  },
  'one-worker-without-postgres': {
    lasts: [1000, 4000],
    strike: ({ worker, witness }) => silent([worker.links.postgres], witness),
  },
  'one-shop-without-redis': {
    lasts: [1000, 3000],
    strike: ({ shop, witness }) => silent([shop.links.redis], witness),
  },
  'requests-lost': {
    lasts: [500, 3000],
    strike: ({ witness, ...scene }) => silent([linkOf(scene)], witness, 'requests'),
  },
  /** What is asked for is done, and nobody hears of it. */
  'replies-lost': {
    lasts: [500, 3000],
    strike: ({ witness, ...scene }) => silent([linkOf(scene)], witness, 'replies'),
  },
  'link-slow': {
    lasts: [1500, 4000],
    strike({ witness, ...scene }) {
      const link = linkOf(scene)
      const seen = traffic([link])
      link.delay(scene.random.between(50, 400))
      return () => {
        witness.saw(seen().delayed)
        link.pass()
      }
    },
  },
} satisfies Faults

/** One link of one host. */
function linkOf({ random, worker, shop }: Pick<Scene, 'random' | 'worker' | 'shop'>): Link {
  const host: Host = random.chance(0.7) ? worker : shop
  return host.links[random.chance(0.5) ? 'redis' : 'postgres']
}

function silent(links: readonly Link[], witness: Scene['witness'], direction?: 'requests' | 'replies'): End {
  const seen = traffic(links)
  for (const link of links) link.silence(direction)
  return async () => {
    // Requests that went through and were not answered are seen now; what waited on a link comes through when it passes again.
    const { requests } = seen()
    if (direction === 'replies') witness.saw(requests)
    for (const link of links) link.pass()
    await delay(100)
    witness.saw(seen().heldBack)
  }
}

async function flapping(links: readonly Link[], witness: Scene['witness'], forMs: number): Promise<undefined> {
  const seen = traffic(links)
  for (let reset = 0; reset < Math.floor(forMs / 300); reset += 1) {
    for (const link of links) link.reset()
    await delay(300)
  }
  witness.saw(seen().connectionsCut)
}

function dropping(links: readonly Link[], request: string, witness: Scene['witness']): End {
  const seen = traffic(links)
  for (const link of links) link.dropReply(request, 10)
  return () => {
    witness.saw(seen().repliesDropped)
    for (const link of links) link.pass()
  }
}
