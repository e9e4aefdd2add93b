// Faults of orders and of their timers.

import { transition } from '../../../lib/index.js'
import type { Database } from '../../support/database.js'
import { bury } from '../../support/dead-letters.js'
import type { Fault, StagedFault } from './fault.js'
import { Stage, type StageOptions } from './staging.js'

type Staging = (stage: Stage) => Promise<Omit<StagedFault, 'stage'> | undefined>

function staged(setUp: Staging, options: StageOptions = {}): () => Promise<StagedFault> {
  return async () => {
    const stage = await Stage.open(options)
    return { ...((await setUp(stage)) ?? {}), stage }
  }
}

const SECOND_MS = 1_000
const DAY_MS = 86_400_000

const shipped = ({ shop }: Stage, dueInMs: number | null) =>
  shop.order({ status: 4, confirmDueAt: dueInMs === null ? null : new Date(Date.now() + dueInMs) })

const BRAKED = {
  rules: ({ Order }: Database) => ({
    order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', brake: { max: 9, per: '1h' } }),
  }),
  rulesText: `order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', brake: { max: 9, per: '1h' } }),`,
}

export const ORDERS_FAULTS: Fault[] = [
  { what: 'Orders are overdue', name: 'orders.overdue', stage: staged(async (stage) => void (await shipped(stage, -60 * SECOND_MS))) },
  {
    what: 'The brake has stopped a rule',
    name: 'orders.braked',
    stage: staged(
      async ({ database }) =>
        void (await database.client.query("INSERT INTO order_timers_brakes (kind, settled, braked_at) VALUES ('order_confirm', 9, now())")),
      BRAKED,
    ),
  },
  {
    what: 'There are dead letters',
    name: 'orders.dead',
    stage: staged(async (stage) => {
      const id = await shipped(stage, DAY_MS)
      await bury(stage.admin, stage.shop.key('order-timers:{order_confirm}:failures'), [id])
      return undefined
    }),
  },
  { what: 'Orders are stale', name: 'orders.stale', stage: staged(async (stage) => void (await shipped(stage, -10 * DAY_MS))) },
  {
    what: 'Orders have no deadline',
    name: 'orders.undated',
    verdict: 'advice',
    stage: staged(async (stage) => {
      await shipped(stage, null)
      return { byHand: () => stage.database.client.query(`UPDATE orders SET "confirmDueAt" = now() + interval '1 day'`) }
    }),
  },
  {
    what: 'Orders come due soon and are not armed',
    name: 'armed.missing',
    stage: staged(async (stage) => void (await shipped(stage, 50 * SECOND_MS))),
  },
  {
    what: 'Orders are armed later than their deadline',
    name: 'armed.late',
    stage: staged(async (stage) => {
      const id = await shipped(stage, 50 * SECOND_MS)
      await stage.admin.zadd(stage.shop.key('order-timers:{order_confirm}:due'), Date.now() + DAY_MS, String(id))
      return undefined
    }),
  },
  {
    what: 'Timers are armed that no order has',
    name: 'armed.left-over',
    verdict: 'advice',
    stage: staged(async (stage) => {
      await stage.admin.zadd(stage.shop.key('order-timers:{order_confirm}:due'), Date.now() + DAY_MS, '999')
      await stage.admin.set(stage.shop.key('order_confirm:999'), '1')
      return undefined
    }),
  },
  {
    what: 'No worker has swept for some minutes',
    name: 'sweep.read',
    verdict: 'advice',
    stage: staged(async (stage) => void (await stage.admin.set(stage.shop.key('order-timers:{order_confirm}:read'), Date.now() - 600_000))),
  },
]
