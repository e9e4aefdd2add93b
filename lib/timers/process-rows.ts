// This process's rows in the tables of processes, one for each database and schema that its rules use, and the rows of others. It also reads the
// databases' identities.

import { Moment } from '../moment.js'
import type { DatabaseRecord, ProcessRecord, SeenProcess } from '../redis/process-records.js'
import { isRecord } from '../redis/process-records.js'
import { ProcessesTable, type ProcessesTableState, type ProcessRow, type SeenRow } from '../rows/processes-table.js'
import type { ShopRule } from '../rules/rule.js'

interface Known {
  identity: string
  since: Moment
  confirmed: Moment
}

/** Rules whose tables are in one schema of one database. */
interface Place {
  table: ProcessesTable
  /** Tables of orders, as SQL, and their rules. */
  kinds: Map<string, string[]>
}

export class ProcessRows {
  /** Whether the rows are written; `unknown` before the first attempt, and if Postgres did not answer. */
  state: ProcessesTableState | 'unknown' = 'unknown'
  private readonly identities = new Map<string, Known>()
  private written: ProcessesTable[] = []

  constructor(
    private readonly prefix: string,
    private readonly kinds: readonly string[],
    private readonly rule: (kind: string) => ShopRule,
  ) {}

  /** Writes nothing. Never rejects. @returns all processes that have rows; undefined if there are no tables, or they may not be read, or do not answer */
  read(): Promise<SeenProcess[] | undefined> {
    return this.beat(undefined)
  }

  /** The same, after writing this process's rows, if possible. */
  write({ redisData, databases: _, ...record }: ProcessRecord): Promise<SeenProcess[] | undefined> {
    return this.beat({ ...record, redisData: redisData ?? null })
  }

  private async beat(row: ProcessRow | undefined): Promise<SeenProcess[] | undefined> {
    const seen = new Map<string, SeenProcess>()
    this.state = 'unknown'
    const written: ProcessesTable[] = []
    let isRead = false
    for (const { table, kinds } of this.places()) {
      try {
        const { state, identities, processes } = await table.beat(this.prefix, row, [...kinds.keys()])
        this.state = state
        for (const [orders, identity] of identities) for (const kind of kinds.get(orders) ?? []) this.note(kind, identity)
        if (state === 'written') written.push(table)
        isRead ||= processes !== undefined
        for (const one of processes?.filter((row) => isRecord(ofRow(row))) ?? [])
          if (!((seen.get(one.id)?.ageMs ?? Number.POSITIVE_INFINITY) < one.ageMs)) seen.set(one.id, ofRow(one))
      } catch {
        // Postgres does not answer; settling reports that
      }
    }
    this.written = written
    return isRead ? [...seen.values()] : undefined
  }

  /** Never rejects. */
  async leave(id: string): Promise<void> {
    await Promise.allSettled(this.written.map((table) => table.leave(id)))
  }

  /** The databases that this process uses at present. */
  databases(): DatabaseRecord[] {
    const records = new Map<string, DatabaseRecord>()
    for (const [kind, { identity, since, confirmed }] of this.identities) {
      const record = records.get(identity)
      if (record) record.kinds.push(kind)
      else records.set(identity, { identity, kinds: [kind], sinceMs: whole(since), confirmedMs: whole(confirmed) })
    }
    return [...records.values()]
  }

  private note(kind: string, identity: string): void {
    const known = this.identities.get(kind)
    const since = known?.identity === identity ? known.since : new Moment()
    this.identities.set(kind, { identity, since, confirmed: new Moment() })
  }

  /** For the rules whose models are initialised. */
  private places(): Place[] {
    const places = new Map<unknown, Map<string, Place>>()
    for (const kind of this.kinds) {
      const orders = this.rowOf(kind)?.guard.table
      if (!orders) continue
      const table = new ProcessesTable(orders)
      const ofDatabase = places.get(orders.sequelize) ?? new Map<string, Place>()
      places.set(orders.sequelize, ofDatabase)
      const place = ofDatabase.get(table.name) ?? { table, kinds: new Map<string, string[]>() }
      ofDatabase.set(table.name, place)
      place.kinds.set(orders.table, [...(place.kinds.get(orders.table) ?? []), kind])
    }
    return [...places.values()].flatMap((ofDatabase) => [...ofDatabase.values()])
  }

  private rowOf(kind: string): ShopRule['row'] {
    try {
      return this.rule(kind).row
    } catch {
      return undefined // a wrong rule throws at its first use
    }
  }
}

function ofRow({ redisData, ...row }: SeenRow): SeenProcess {
  return { ...row, ...(redisData !== null && { redisData }), databases: [] }
}

function whole(moment: Moment): number {
  return Math.round(moment.passedMs())
}
