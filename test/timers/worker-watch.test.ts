import assert from 'node:assert/strict'
import { Presence } from '../../lib/redis/presence.js'
import type { SeenProcess } from '../../lib/redis/process-records.js'
import { ALIVE_MS } from '../../lib/redis/process-records.js'
import { WorkerWatch } from '../../lib/timers/worker-watch.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'

describe("a web process's watch over the workers", () => {
  let shop: Shop<OneOfEach>
  let watch: WorkerWatch

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
    const { redis, keys } = runtimeOf(shop.timers)
    assert.ok(redis)
    await redis.connection.connected(5_000)
    watch = new WorkerWatch(new Presence(redis.connection, keys))
  })

  afterEach(() => shop.close())

  const record = (id: string, ageMs: number) =>
    shop.redis.client.hset(runtimeOf(shop.timers).keys.processes, id, `${Date.now() - ageMs} ${Date.now()} {}`)
  const answer = (...processes: Pick<SeenProcess, 'id' | 'role' | 'ageMs'>[]) =>
    watch.answered({ now: Date.now(), redisData: '', watched: false, processes: processes as SeenProcess[] })

  it('asks for the worker that was heard of last, and says whether it still beats', async () => {
    assert.equal(await watch.workerBeats(), false)
    answer({ id: 'old', role: 'worker', ageMs: 9_000 }, { id: 'new', role: 'worker', ageMs: 10 }, { id: 'web', role: 'web', ageMs: 0 })
    await record('new', ALIVE_MS.worker - 3_000)
    await record('web', 0)
    assert.equal(await watch.workerBeats(), true)
    await record('new', ALIVE_MS.worker + 1_000)
    assert.equal(await watch.workerBeats(), false)
    await shop.redis.client.del(runtimeOf(shop.timers).keys.processes)
    assert.equal(await watch.workerBeats(), false)
  })

  it('gives a worker that beats seldom as much longer', async () => {
    watch.answered({
      now: Date.now(),
      redisData: '',
      watched: false,
      processes: [{ id: 'seldom', role: 'worker', ageMs: 0, beatMs: 60_000 } as SeenProcess],
    })
    assert.equal(watch.isSeldom, true)
    await record('seldom', 60_000)
    assert.equal(await watch.workerBeats(), true)
    await record('seldom', 151_000)
    assert.equal(await watch.workerBeats(), false)
  })

  it('knows that workers must first have had time to beat again where a beat failed, and is not in doubt at the start', () => {
    answer()
    assert.equal(watch.isFresh, false)
    watch.failed()
    answer()
    assert.equal(watch.isFresh, true)
  })
})
