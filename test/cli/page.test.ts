// docs/cli.md: its outputs are what the commands print, one after the other, over the shop that the page describes. Times are not compared.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { run } from '../../lib/cli/run.js'
import { transition } from '../../lib/index.js'
import { ACTIONS_TABLE, ActionsTable } from '../../lib/rows/actions-table.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { openProject, type Project, timersModule } from '../support/command-line.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const HOUR_MS = 3_600_000
const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
const shown = [...page.matchAll(/^```console\n\$ npx order-timers (.+)\n([\s\S]*?)^```$/gm)].map(([, typed = '', output = '']) => ({
  typed,
  output,
}))
const [, rules = ''] = /^```js\n\/\/ timers\.mjs\n[\s\S]*? {2}rules: \{\n([\s\S]*?)\n {2}\},\n/m.exec(page) ?? []

describe('docs/cli.md', function () {
  this.timeout(60_000)
  let shop: Shop<never>
  let project: Project

  beforeEach(async () => {
    const run = () => {
      throw new Error('no stock')
    }
    project = await openProject()
    shop = (await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 1, run }),
    }))) as unknown as Shop<never>
    for (const sql of [...Brake.createSql(BRAKE_TABLE), ...ActionsTable.createSql(ACTIONS_TABLE)]) await shop.database.client.query(sql)
  })

  afterEach(() => Promise.all([shop.close(), project.close()]))

  const shipped = (inMs: number | null) => shop.order({ status: 4, confirmDueAt: inMs === null ? null : new Date(Date.now() + inMs) })

  /** One dead letter, two that are overdue, one that is stale, four to come (two in one hour), one without a deadline; one unpaid for an hour, and a new one. */
  async function fill(): Promise<void> {
    await shipped(-60_000)
    const worker = await shop.worker({ fallback: false })
    await waitUntil(async () => (await shop.timers.dead()).length === 1)
    await worker.stop()
    await runtimeOf(shop.timers).beats?.end() // the page's shop has no process that is alive
    const inSomeHour = (Math.floor(Date.now() / HOUR_MS) + 5) * HOUR_MS + 600_000 - Date.now()
    for (const inMs of [-600_000, -590_000, -240 * HOUR_MS, HOUR_MS / 2, inSomeHour, inSomeHour, 100 * HOUR_MS, null]) await shipped(inMs)
    await shop.order({ status: 1, createdAt: new Date(Date.now() - HOUR_MS) })
    await shop.order({ status: 1 })
  }

  /** Each run has a module of its own, since a process loads a module once and the command closes its timers. */
  async function typed(command: string, number: number): Promise<string> {
    const file = `timers-${number}.mjs`
    await project.write(
      file,
      timersModule(shop.database, rules, `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}', logger: false`),
    )
    const lines: string[] = []
    const print = (text: string) => void lines.push(text)
    await run([...command.split(' '), '--module', file], { directory: project.directory, print, remark: print })
    return lines.join('\n')
  }

  it('shows what its commands print', async () => {
    assert.ok(shown.length > 7 && rules.includes('order_pay'))
    await fill()
    for (const [number, { typed: command, output }] of shown.entries())
      assert.equal(withoutTimes(await typed(command, number)), withoutTimes(output.trimEnd()), command)
  })
})

function withoutTimes(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/(?<=uses Redis at )\S+ db \d+/, 'ADDRESS')
    .replace(/\d{4}-\d\d-\d\d \d\d:00 UTC/g, 'HOUR')
    .replace(/\b\d+ (?:s|min|h)\b/g, 'AGE')
    .replace(/(?<=--after )\S+/, 'PLACE')
    .replace(/ {2,}/g, '  ')
    .replace(/(?<= took )[\d,]+ ms|(?<=^took )[\d,]+ ms/gm, 'MS')
}
