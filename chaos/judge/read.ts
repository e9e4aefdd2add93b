// Reads from Postgres, once a run is over, what the judge looks at beside the journals: the ledgers, the effects, the history, the rows as they are.

import type { ClientBase } from 'pg'
import { HISTORY_TABLE } from '../../lib/rows/history.js'
import type { Change } from '../history.js'
import type { Journals } from '../journal.js'
import { readEffects, readLedger, toRow } from '../ledger.js'
import { RULES } from '../rules.js'
import { TABLES } from '../tables.js'
import { readBrakes } from './brake-ledger.js'
import type { FinalRow, Recorded, Run } from './run.js'

/** What only the run itself knows. */
export interface Course extends Pick<Run, 'losses' | 'healedAt' | 'sweepMs' | 'slowdown'> {
  /** Other deployments that ran for a while: how many times as long each `after` was. */
  afterTimes: readonly number[]
}

/** Both clocks are read one after the other. A clock that is moved is off by more. */
const READING_MS = 50

export async function readRun(client: ClientBase, journals: Journals, { afterTimes, ...course }: Course): Promise<Run> {
  const changes = await readLedger(client)
  const brakes = await readBrakes(client)
  return {
    ...journals,
    ...course,
    rules: RULES.map((rule) => ({ ...rule, afters: afterTimes.map((times) => Math.round(rule.afterMs * times)) })),
    changes,
    effects: await readEffects(client),
    rows: await readRows(client),
    recorded: await readHistory(client),
    brakes,
    braked: Object.fromEntries(brakes.map(({ kind, to }) => [kind, to.braked])),
    clockMoves: clockMoves(changes),
    endedAt: await readClock(client),
  }
}

async function readRows(client: ClientBase): Promise<FinalRow[]> {
  const found: FinalRow[] = []
  for (const table of TABLES) {
    const { rows } = await client.query<{ id: string; row: Record<string, unknown> }>(
      `SELECT id::text, row_to_json(t) AS row FROM ${table} AS t`,
    )
    for (const { id, row } of rows) found.push({ table, id, row: toRow(row) ?? {} })
  }
  return found
}

async function readHistory(client: ClientBase): Promise<Recorded[]> {
  const { rows } = await client.query<Recorded>(
    `SELECT kind, order_id AS id, reminder, from_status AS "fromStatus", to_status AS "toStatus", ${epochMs('deadline')} AS deadline,
       ${epochMs('settled_at')} AS "settledAt", ${epochMs('next_try')} AS "nextTry", attempts FROM ${HISTORY_TABLE} ORDER BY id`,
  )
  return rows
}

async function readClock(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ now: number }>(`SELECT ${epochMs('pg_catalog.clock_timestamp()')} AS now`)
  return rows[0]?.now ?? 0
}

/** Each line of the ledger has both clocks, so it shows when one was moved. */
function clockMoves(changes: readonly Change[]): Run['clockMoves'] {
  const moves: { at: number; offsetMs: number }[] = []
  for (const { at, trueAt } of [...changes].sort((a, b) => a.trueAt - b.trueAt)) {
    const offsetMs = Math.abs(at - trueAt) < READING_MS ? 0 : at - trueAt
    const last = moves.at(-1)
    if (Math.abs(offsetMs - (last?.offsetMs ?? 0)) >= READING_MS) moves.push({ at: trueAt, offsetMs })
    // A process that had to wait between its two readings shows less than the clock was moved by.
    else if (last && last.offsetMs !== 0) last.offsetMs = Math.max(last.offsetMs, offsetMs)
  }
  return moves
}

function epochMs(instant: string): string {
  return `(extract(epoch FROM ${instant}) * 1000)::float8`
}
