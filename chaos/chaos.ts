// `npm run chaos`: several workers, a shop that keeps creating and changing orders, and a random but seeded stream of faults on servers of
// its own. At the end every order is compared with the ledger. Exit status 1 where a promise broke, 2 for wrong arguments.

import { setTimeout as delay } from 'node:timers/promises'
import { waitUntil } from '../test/support/waiting.js'
import { ArgumentError, type Arguments, parseArguments } from './arguments.js'
import { readJournals } from './journal.js'
import { Nemesis } from './nemesis.js'
import { pendingOrders } from './pending.js'
import { makePlan } from './plan.js'
import { Random } from './random.js'
import { judge } from './verdict.js'
import { World } from './world.js'

/** Of all processes of the shop together. */
const ORDERS_PER_SECOND = 450
const SHOPS = 3
/** A claim of a worker that was killed comes back when its lease ends; then nothing may be pending any more. */
const QUIET_WITHIN_MS = 60_000

const say = (text: string): void => void process.stderr.write(`${text}\n`)

main().then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    say(error instanceof ArgumentError ? error.message : String((error as Error).stack))
    process.exitCode = error instanceof ArgumentError ? 2 : 1
  },
)

async function main(): Promise<number> {
  const options = parseArguments(process.argv.slice(2))
  say(`seed ${options.seed}: ${options.seconds} s with ${options.workers} workers`)
  const random = new Random(options.seed)
  const world = await World.open()
  try {
    return await run(world, random, options)
  } finally {
    await world.close()
  }
}

async function run(world: World, random: Random, { seconds, workers, seed, json }: Arguments): Promise<number> {
  const plan = makePlan(random.branch(), { seed, seconds, workers })
  await world.startWorkers(workers)
  const shops = await Promise.all(
    Array.from({ length: SHOPS }, () => world.startShop(random.between(0, 2 ** 31), ORDERS_PER_SECOND / SHOPS)),
  )
  const closed = Promise.all(shops.map((shop) => shop.process!.receive('finished', 3_700_000)))
  closed.catch(() => {})
  const nemesis = new Nemesis(world, say)
  await Promise.all([nemesis.carryOut(plan.faults), delay(seconds * 1000)])
  for (const shop of shops) shop.process!.send({ stop: true })
  say('the shop closes')
  await closed
  await waitForQuiet(world)

  const { details, ...verdict } = await world.withPostgres((client) => judge(client, readJournals(world.directory), nemesis.done, seed))
  const { bites } = nemesis
  const toothless = Object.keys(bites).filter((kind) => bites[kind] === 0)
  for (const kind of toothless) world.broken.push(`${kind} never bit`)
  for (const text of [...world.broken, ...details]) say(`BROKEN ${text}`)
  process.stdout.write(`${JSON.stringify({ ...verdict, faults: bites }, null, json ? undefined : 2)}\n`)
  return verdict.lost + verdict.early + verdict.twice + world.broken.length === 0 ? 0 : 1
}

/** Until no deadline is pending, or so long that what still pends is lost. */
async function waitForQuiet(world: World): Promise<void> {
  const pending = () => world.withPostgres(pendingOrders)
  await waitUntil(async () => (await pending()).length === 0, { within: QUIET_WITHIN_MS, every: 250 }).catch(() => {})
}
