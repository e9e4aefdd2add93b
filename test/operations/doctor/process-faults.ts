// Faults of processes: who is alive, what they have, which clocks they go by, and what they run with.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { effect, transition } from '../../../lib/index.js'
import { VERSION } from '../../../lib/version.js'
import { workerConfig } from '../../faults/own-worker.js'
import type { Database } from '../../support/database.js'
import { runtimeOf } from '../../support/runtime.js'
import { waitUntil } from '../../support/waiting.js'
import { startWorkerProcess } from '../../support/worker-process.js'
import type { Fault, StagedFault } from './fault.js'
import { confirming, Stage, type StageOptions } from './staging.js'

type Staging = (stage: Stage) => Promise<Omit<StagedFault, 'stage'> | undefined>

function staged(setUp: Staging, options: StageOptions = {}): () => Promise<StagedFault> {
  return async () => {
    const stage = await Stage.open(options)
    return { ...((await setUp(stage)) ?? {}), stage }
  }
}

/** A package as npm would have put it into the shop's folder. */
function withPackage(name: string, version: string): () => Promise<StagedFault> {
  return staged(async (stage) => {
    const directory = await mkdtemp(join(tmpdir(), 'order-timers-folder-'))
    const folder = join(directory, 'node_modules', name)
    await mkdir(folder, { recursive: true })
    const install = (installed: string) => writeFile(join(folder, 'package.json'), JSON.stringify({ name, version: installed }))
    await install(version)
    stage.directory = directory
    stage.npm = (wanted) => install(wanted.replace(/^.*@\^/, ''))
    return { end: () => rm(directory, { recursive: true }) }
  })
}

const confirmingAfter =
  (after: '24h' | '48h') =>
  ({ Order }: Database) => ({
    order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after }),
  })

/** Postgres's clock for connections whose search path names the schema before pg_catalog. */
async function moveClock({ client, schema }: Database, byMs: number): Promise<void> {
  for (const name of ['now', 'clock_timestamp'])
    await client.query(
      `CREATE FUNCTION ${schema}.${name}() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.${name}() + interval '${byMs} ms' $$`,
    )
}

const SKEWED: StageOptions = {
  rules: ({ Order }) => ({ order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }) }),
}

/** A worker's process whose clock is a minute ahead. */
async function processWithClock(stage: Stage): Promise<() => Promise<unknown>> {
  const rules = new URL('./pay-rules.ts', import.meta.url).href
  const worker = await startWorkerProcess({ ...workerConfig(stage.shop, 'worker 1'), rules, clockMs: 60_000 })
  return () => worker.stop()
}

export const PROCESS_FAULTS: Fault[] = [
  {
    what: 'No worker runs',
    name: 'processes.no-worker',
    stage: staged(async (stage) => {
      const start = async () => {
        await stage.worker(stage.other(confirming(stage.database)))
      }
      return { byHand: start }
    }),
  },
  {
    what: 'The rules of two workers differ',
    name: 'processes.rules-differ',
    stage: staged(
      async (stage) => {
        await stage.worker(stage.other(confirmingAfter('24h')(stage.database)))
        const other = await stage.worker(stage.other(confirmingAfter('48h')(stage.database)))
        return { byHand: () => other.stop() }
      },
      { rules: confirmingAfter('24h') },
    ),
  },
  {
    what: 'No worker has a rule that a web process has',
    name: 'processes.kind-unserved',
    stage: staged(async (stage) => {
      await stage.worker(stage.other(confirmingAfter('24h')(stage.database)))
      const deploy = () => stage.worker(stage.other(confirming(stage.database)))
      return { byHand: deploy }
    }),
  },
  {
    what: 'The workers use another Redis, or another db of it, than the web processes',
    name: 'processes.other-redis',
    stage: staged(async (stage) => {
      const elsewhere = `${stage.shop.redis.url}/1`
      await stage.worker(stage.other(confirming(stage.database), { redis: elsewhere }))
      await stage.shop.timers.schedule('order_pay', await stage.shop.order()) // names the data of the web process's Redis
      await waitUntil(
        async () => {
          const { rows } = await stage.database.client.query('SELECT redis_data FROM order_timers_processes WHERE redis_data IS NOT NULL')
          return rows.length > 0 && (await stage.admin.exists(stage.shop.key('order-timers:layout'))) > 0
        },
        { within: 30_000 },
      )
      return { byHand: async () => stage.look({ redis: elsewhere }) }
    }),
  },
  {
    what: 'Two databases share a prefix',
    name: 'processes.prefix-shared',
    stage: staged(async (stage) => {
      const records = stage.shop.key('order-timers:processes')
      const at = Date.now() + 50_000 // they beat for as long as the test needs
      for (const name of ['one', 'another']) {
        const databases = [{ identity: name, kinds: ['order_confirm'], sinceMs: 120_000, confirmedMs: 0 }]
        const about = { id: name, host: name, pid: 1, version: VERSION, startedAt: at - 120_000, role: 'worker', redis: null }
        const record = { ...about, rules: runtimeOf(stage.shop.timers).fingerprints, databases, aheadMs: 0 }
        await stage.admin.hset(records, name, `${at} ${at} ${JSON.stringify(record)}`)
      }
      return { byHand: () => stage.admin.hdel(records, 'another') }
    }),
  },
  {
    what: "A process's clock is wrong, and Sequelize writes createdAt by it",
    name: 'clocks.process',
    stage: staged(async (stage) => {
      const stop = await processWithClock(stage)
      let stopped = false
      const setRight = async () => {
        stopped = true
        await stop()
      }
      return { byHand: setRight, picks: ({ in: place }) => place !== 'psql', end: async () => stopped || stop() }
    }, SKEWED),
  },
  {
    what: "A process's clock is wrong, and Postgres shall write createdAt itself",
    name: 'clocks.process',
    stage: staged(async (stage) => {
      const stop = await processWithClock(stage)
      return { end: stop }
    }, SKEWED),
    becomes: 'advice',
  },
  {
    what: "Postgres's clock is apart from all others",
    name: 'clocks.redis',
    also: ['clocks.process'],
    stage: staged(async (stage) => {
      const { database } = stage
      await moveClock(database, 30_000)
      const moved = database.connectSequelize({ dialectOptions: { options: `-c search_path=${database.schema},pg_catalog` } })
      stage.look({}, { ...database, ...moved })
      const setRight = async () => stage.look({}, database)
      return { byHand: setRight, picks: ({ in: place }) => place === 'by hand' }
    }),
  },
  { what: 'Express is too old', name: 'versions.express', stage: withPackage('express', '4.16.4') },
  { what: 'ioredis is too old', name: 'versions.ioredis', stage: withPackage('ioredis', '4.28.5') },
  { what: 'Sequelize is not supported yet', name: 'versions.sequelize', stage: withPackage('sequelize', '7.0.0') },
  {
    what: 'The timers are switched off',
    name: 'timers.enabled',
    stage: staged(async (stage) => {
      stage.look({ enabled: false })
      return { byHand: async () => stage.look({}) }
    }),
  },
  {
    what: 'A rule names an attribute that its model does not have',
    name: 'rules.declared',
    stage: staged(async (stage) => {
      const right = stage.rules
      stage.rules = ({ Order }) => ({
        order_confirm: transition(() => Order, { from: 4, to: 5, deadline: 'confirmDue' as 'confirmDueAt', after: '24h' }),
      })
      const setRight = async () => {
        stage.rules = right
      }
      return { byHand: setRight }
    }),
  },
  {
    what: 'Two rules keep their deadlines in one attribute',
    name: 'rules.declared',
    stage: staged(async (stage) => {
      const right = stage.rules
      stage.rules = ({ Order }) => ({
        order_confirm: transition(() => Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
        order_other: effect(() => Order, { where: { note: null }, deadline: 'confirmDueAt', after: '24h', run: async () => {} }),
      })
      const setRight = async () => {
        stage.rules = right
      }
      return { byHand: setRight }
    }),
  },
]
