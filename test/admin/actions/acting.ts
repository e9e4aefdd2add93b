// A shop whose acts are recorded, for tests of acts.

import { act } from '../../../lib/admin/actions/act.js'
import { listActions } from '../../../lib/admin/actions/list.js'
import type { ActName, ActOrder, Actor } from '../../../lib/admin/actions/request.js'
import type { Rules } from '../../../lib/index.js'
import { ACTIONS_TABLE, ActionsTable } from '../../../lib/rows/actions-table.js'
import type { Runtime } from '../../../lib/timers/runtime.js'
import type { Database } from '../../support/database.js'
import { runtimeOf } from '../../support/runtime.js'
import { openShop, type Shop, type ShopOptions } from '../../support/shop.js'

export const SUPPORT: Actor = { user: 'support', via: 'page' }

export interface ActingShop<R extends Rules> extends Shop<R> {
  runtime: Runtime
  act(action: ActName, orders: readonly ActOrder[], more?: { by?: unknown; kind?: string; actor?: Actor }): ReturnType<typeof act>
  /** Newest first. */
  recorded(): Promise<Awaited<ReturnType<typeof listActions>>['actions']>
  /** The deadline on an order's row, in milliseconds. */
  deadlineOf(id: number | string): Promise<number | null>
}

/** Acts without a `kind` are on the first rule. */
export async function openActingShop<const R extends Rules>(
  rules: (database: Database) => R,
  { recorded = true, ...options }: ShopOptions & { recorded?: boolean } = {},
): Promise<ActingShop<R>> {
  const shop = await openShop(rules, options)
  if (recorded) await createActionsTable(shop.database)
  const runtime = runtimeOf(shop.timers)
  return {
    ...shop,
    runtime,
    act: (action, orders, { by, kind = runtime.kinds[0] as string, actor = SUPPORT } = {}) =>
      act(runtime, { action, kind, orders, by }, actor),
    recorded: async () => (await listActions(runtime)).actions,
    async deadlineOf(id) {
      const { confirmDueAt } = await shop.database.Order.unscoped().findByPk(id, { rejectOnEmpty: true })
      return confirmDueAt?.getTime() ?? null
    },
  }
}

export async function createActionsTable({ client }: Database): Promise<void> {
  for (const sql of ActionsTable.createSql(ACTIONS_TABLE)) await client.query(sql)
}
