import assert from 'node:assert/strict'
import { doctor } from '../../lib/admin/doctor/doctor.js'
import { viewOrder } from '../../lib/admin/order-view.js'
import { livingProcesses } from '../../lib/admin/processes.js'
import { PROCESSES_TABLE, ProcessesTable } from '../../lib/rows/processes-table.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

describe('the living processes', () => {
  it('are those of Postgres while Redis is full, where no heartbeat is newer than the last that it took', async () => {
    const server = await RedisServer.start()
    const shop = await openShop(oneOfEach, { redisUrl: server.url })
    for (const sql of ProcessesTable.createSql(PROCESSES_TABLE)) await shop.database.client.query(sql)
    const runtime = runtimeOf(shop.timers)
    const worker = await shop.worker()
    // Its row follows within seconds of its start.
    await waitUntil(async () => (await livingProcesses(runtime, { beatsAreWritten: false })).processes.length > 0, { within: 30_000 })
    await shop.redis.client.config('SET', 'maxmemory', 1)
    const bySilence = async () => (await livingProcesses(runtime, { beatsAreWritten: true })).findings
    await waitUntil(async () => (await bySilence()).some(({ code }) => code === 'NO_WORKER'), { within: 30_000 })
    const { findings, redis } = await livingProcesses(runtime)
    assert.deepEqual(
      findings.map(({ code }) => code),
      [],
    )
    assert.deepEqual(redis, { problem: 'Redis refuses writes, so no process sends heartbeats' })
    assert.equal((await viewOrder(runtime, '1', 'order_confirm')).workerAlive, true)
    const found = (await doctor(runtime)).findings.filter(({ name }) => name.startsWith('processes.'))
    assert.ok(!found.some(({ name }) => name === 'processes.no-worker'))
    await worker.stop()
    await shop.close()
    await server.stop()
  }).timeout(60_000)
})
