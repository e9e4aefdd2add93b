// docs/testing.md: its test, run by Node's test runner over the shop of docs/getting-started.md.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { root } from '../support/book.js'
import { filesOf, openProjectOf } from '../support/book-project.js'
import { runProgram } from '../support/command-line.js'
import { openDatabase } from '../support/database.js'
import { openRedis } from '../support/redis.js'

describe('docs/testing.md', () => {
  it('has a test that passes, and fails where the order does not move', async () => {
    const [database, redis] = await Promise.all([openDatabase(), openRedis()])
    await database.client.query('DROP TABLE orders CASCADE') // the test's own `sync` makes it
    const url = new URL(database.url)
    url.searchParams.set('options', `-c search_path=${database.schema}`)
    const env = { DATABASE_URL: url.href, REDIS_URL: `${redis.url}?keyPrefix=${redis.prefix}` }
    const files = filesOf('docs/testing.md')
    const run = async (timers: string) => {
      const project = await openProjectOf({ ...files, 'timers.ts': timers })
      const tsx = join(root, 'node_modules/tsx/dist/esm/index.mjs')
      const ended = await runProgram(['--import', tsx, '--test', 'orders.test.ts'], project.directory, 90_000, env)
      await project.close()
      return ended
    }
    const { 'timers.ts': timers = '' } = files
    const passed = await run(timers)
    assert.equal(passed.status, 0, passed.stdout)
    const failed = await run(timers.replace('to: 5', 'to: 6'))
    assert.equal(failed.status, 1, failed.stdout)
    await Promise.all([database.close(), redis.close()])
  }).timeout(200_000)
})
