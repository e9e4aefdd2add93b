import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkerOptions } from '../../../lib/index.js'
import { transition } from '../../../lib/index.js'
import type { Database } from '../../support/database.js'
import { RedisServer } from '../../support/redis-server.js'
import { openShop } from '../../support/shop.js'
import { waitUntil } from '../../support/waiting.js'

const WINDOW_MS = 12_000

function threeRules({ Order }: Pick<Database, 'Order'>) {
  return {
    order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    order_ship: transition(Order, { from: 2, to: 0, deadline: false, after: '24h' }),
  }
}

/** What a worker with nothing to do sends to a Redis of its own, for so many milliseconds, without what scripts do inside Redis. */
async function idleCommands(options: WorkerOptions): Promise<{ commands: string[]; ms: number }> {
  const server = await RedisServer.start()
  const shop = await openShop(threeRules, { redisUrl: server.url })
  for (let i = 0; i < 20; i += 1) await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }))
  const worker = await shop.worker({ fallback: false, ...options })
  await waitUntil(() => worker.health().redis?.events)
  const monitor = await shop.redis.client.monitor()
  const commands: string[] = []
  monitor.on('monitor', (_time: string, [name = '']: string[], source: string) => {
    if (source !== 'lua') commands.push(name)
  })
  const startedAt = performance.now()
  await sleep(WINDOW_MS) // a rate needs a time
  const sent = { commands: [...commands], ms: performance.now() - startedAt }
  monitor.disconnect()
  assert.equal(worker.health().redis?.events, true)
  assert.deepEqual(worker.faultsTold, [])
  await shop.close()
  await server.stop()
  return sent
}

describe('a worker that has nothing to do', () => {
  it('sends Redis a command a second for all of its rules together, and in an economy one in five seconds', async function () {
    this.timeout(60_000)
    const [usual, economy] = await Promise.all([idleCommands({}), idleCommands({ idle: 'economy' })])
    const shown = ({ commands, ms }: typeof usual) => `${commands.length} in ${ms} ms: ${commands.join(' ')}`
    assert.ok(usual.commands.length <= Math.ceil(usual.ms / 1_000), shown(usual))
    assert.ok(economy.commands.length <= Math.ceil(economy.ms / 5_000), shown(economy))
    for (const { commands } of [usual, economy]) assert.ok(commands.length > 0, 'it is alive')
  })
})
