// One process of the shop: it keeps creating orders of every kind at the given rate, and what else it does to them follows from scenes, at its
// time. Other processes do the same, and some of it to the same orders at the same instant.

import type { Redis } from 'ioredis'
import { QueryTypes, type Sequelize } from 'sequelize'
import type { Feature } from '../history.js'
import type { Random } from '../random.js'
import { type ChaosTimers, factsOf, type RuleKind } from '../rules.js'
import type { Rows, TableName, Tables } from '../tables.js'
import type { Act, Acts } from './acts.js'
import type { Agenda } from './agenda.js'
import type { Peers } from './peers.js'
import type { Ask, Wishes } from './wishes.js'

/** An act for the instant of a deadline comes so much before or after it, at most. */
export const RACE_MS = 25
const LANES = 6
/** Orders, by one call. */
const MOST_LOOKED_AT = 5

/** Creates about so many orders, and plans what becomes of them. @returns whether Postgres created them */
export type Scene = (shop: Shop, random: Random) => Promise<boolean>

/** A scene, the orders that it creates, and its part of all orders in hundredths. */
export interface Played {
  play: Scene
  orders: number
  share: number
}

export class Shop {
  private created = 0
  private stopping = false

  constructor(
    readonly sequelize: Sequelize,
    readonly tables: Tables,
    readonly timers: ChaosTimers,
    readonly redis: Redis,
    readonly prefix: string,
    readonly wishes: Wishes,
    readonly acts: Acts,
    readonly agenda: Agenda,
    readonly peers: Peers,
    private readonly random: Random,
  ) {}

  /** Creates so many orders a second, and catches up after an outage, until told to stop. */
  async run(scenes: readonly Played[], ordersPerSecond: number): Promise<void> {
    const begin = performance.now()
    const isBehind = () => this.created < ((performance.now() - begin) / 1000) * ordersPerSecond
    // Each once before chance decides, so that a short run has them all.
    const first = this.random.shuffled(scenes)
    const lane = async (random: Random): Promise<void> => {
      while (!this.stopping) {
        if (isBehind()) await this.playOne(first.pop() ?? choose(scenes, random), random)
        else await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
    await Promise.all(Array.from({ length: LANES }, () => lane(this.random.branch())))
    await this.agenda.finish()
  }

  stop(): void {
    this.stopping = true
  }

  get stopped(): boolean {
    return this.stopping
  }

  /**
   * Creates rows in one statement, each with a wish of its own. Where the ids are not given, Postgres's are returned.
   * @returns the ids; undefined where it was refused, or nobody knows
   */
  async create(
    kind: RuleKind,
    rows: readonly Record<string, unknown>[],
    options: { feature?: Feature; raw?: boolean } = {},
  ): Promise<string[] | undefined> {
    const { feature, raw = false } = options
    const table = factsOf(kind).table as TableName
    const asks = rows.map(({ id, status, ...asked }): Ask => {
      const of = { kind, id: id === undefined ? null : String(id), n: this.wishes.number(), ...(feature && { feature }) }
      return { ...of, call: raw ? 'rawSql' : 'create', asked: { ...asked, ...(status !== undefined && { to: status }) } }
    })
    const all = rows.map((row, i) => ({ ...row, wish: (asks[i] as Ask).n }))
    const gots = await this.wishes.makeAll(asks, async () => {
      const ids = raw ? await this.insertRaw(table, all) : (await (this.tables[table] as Rows).bulkCreate(all)).map(({ id }) => id)
      return ids.map((id) => ({ id: String(id) }))
    })
    return gots?.map(({ id }) => id as string)
  }

  /** The rows have the same columns. */
  private async insertRaw(table: TableName, rows: readonly Record<string, unknown>[]): Promise<(number | string)[]> {
    const columns = Object.keys(rows[0] ?? {})
    const bind = rows.flatMap((row) =>
      columns.map((column) => (row[column] instanceof Date ? (row[column] as Date).toISOString() : row[column])),
    )
    const places = rows.map((_row, r) => `(${columns.map((_column, c) => `$${r * columns.length + c + 1}`).join(', ')})`)
    const sql = `INSERT INTO ${table} (${columns.map((column) => `"${column}"`).join(', ')}) VALUES ${places.join(', ')} RETURNING id`
    // RETURNING answers in the order of VALUES.
    return (await this.sequelize.query<{ id: number | string }>(sql, { bind, type: QueryTypes.SELECT })).map(({ id }) => id)
  }

  later(ms: number, act: Act): void {
    this.agenda.later(Math.max(0, ms), async () => void (await this.acts.do(act)))
  }

  /** Some of these orders are looked at, in one call, around an instant that is so many milliseconds away. */
  look(kind: RuleKind, ids: readonly string[], leftMs: number, random: Random): void {
    const call = random.chance(0.5) ? 'remaining' : 'list'
    const some = random.shuffled(ids).slice(0, random.between(1, MOST_LOOKED_AT))
    const ms = random.chance(0.5) ? this.near(leftMs, random) : random.between(0, leftMs)
    this.agenda.later(Math.max(0, ms), async () => {
      if (random.chance(0.5)) await this.acts.readAll(kind, some, call)
      else await Promise.all(some.map((id) => this.acts.do({ kind, id, call })))
    })
  }

  /** About when a deadline passes that is so many milliseconds away. */
  near(leftMs: number, random: Random): number {
    return leftMs + random.between(-RACE_MS, RACE_MS)
  }

  private async playOne({ play, orders }: Played, random: Random): Promise<void> {
    this.created += orders
    if (await play(this, random)) return
    this.created -= orders
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** So that of all orders each scene creates its share. */
function choose(scenes: readonly Played[], random: Random): Played {
  const weights = scenes.map(({ share, orders }) => share / orders)
  let left = random.next() * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [i, weight] of weights.entries()) {
    left -= weight
    if (left < 0) return scenes[i] as Played
  }
  return scenes.at(-1) as Played
}

/** One of these, each with its part in hundredths; the rest does nothing. */
export function fate(random: Random, fates: readonly (readonly [number, () => void])[]): void {
  let left = random.next() * 100
  for (const [part, happen] of fates) {
    left -= part
    if (left >= 0) continue
    happen()
    return
  }
}

export function rows<T>(count: number, row: (i: number) => T): T[] {
  return Array.from({ length: count }, (_nothing, i) => row(i))
}
