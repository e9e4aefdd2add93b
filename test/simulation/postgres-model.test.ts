// Holds the simulation's model of Postgres against a real one: everything that was sent to the model in random stories is sent to a real server, by as
// many connections and in the same order, waits for locks included, and each answer must be the same.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Client, type QueryArrayResult } from 'pg'
import { play } from '../../chaos/simulation/play.js'
import type { PostgresEvent } from '../../chaos/simulation/postgres/server.js'
import type { Result } from '../../chaos/simulation/postgres/statements.js'
import { OIDS, shown } from '../../chaos/simulation/postgres/values.js'
import { type Story, stories } from '../../chaos/simulation/story.js'
import { type Database, openDatabase } from '../support/database.js'
import { waitUntil } from '../support/waiting.js'

const LOOK_FOR_MS = 5_000
const LEAST_COMPARED = 200
/** Of each story: its end is long and quiet. */
const MOST_EVENTS = 2_000
/** The server's own answers, and plans, which the model does not make. */
const NOT_COMPARED = /^(EXPLAIN|SHOW|WITH ranges AS)|pg_postmaster_start_time/
/** Real time is not the story's, so nothing times out by itself. */
const LIMITS = /(SET LOCAL (?:lock_timeout|statement_timeout|idle_in_transaction_session_timeout) = |set_config\('lock_timeout', ')\d+/g
/** `name` and `varchar`, which the model calls text. */
const TEXTS = [19, 1043]

describe('The model of Postgres', function () {
  this.timeout(120_000)
  let database: Database

  before(async () => {
    database = await openDatabase()
    await installClock(database)
  })

  after(() => database.close())

  it('answers as a real one does to everything that the package and its shop send', async () => {
    const until = performance.now() + LOOK_FOR_MS
    let compared = 0
    const property = fc.asyncProperty(stories, async (story) => {
      if (performance.now() > until && compared > LEAST_COMPARED) return
      const replay = new Replay(database)
      try {
        for (const event of (await recorded(story)).slice(0, MOST_EVENTS)) await replay.carryOut(event)
        compared += replay.compared
      } finally {
        await replay.end()
      }
    })
    await fc.assert(property, { numRuns: 200 })
    assert.ok(compared > LEAST_COMPARED, `only ${compared} answers were compared`)
  })
})

async function recorded(story: Story): Promise<PostgresEvent[]> {
  const events: PostgresEvent[] = []
  // The model's rows are locked without a statement.
  const steps = story.steps.filter(({ step }) => step.do !== 'lock row')
  await play({ ...story, steps }, ({ postgres }) => {
    postgres.record = (event) => events.push(event)
  })
  return events
}

/** `now()` and `clock_timestamp()` say what the story says: the one by connection, the other to all. */
async function installClock({ client, schema }: Database): Promise<void> {
  await client.query(`DROP TRIGGER log_change ON ${schema}.orders`)
  await client.query(`CREATE TABLE ${schema}.effects (order_id int NOT NULL)`)
  await client.query(`CREATE TABLE ${schema}.clock (at timestamptz); INSERT INTO ${schema}.clock VALUES (pg_catalog.now())`)
  await client.query(`CREATE FUNCTION ${schema}.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    $$ SELECT at FROM ${schema}.clock $$`)
  await client.query(`CREATE FUNCTION ${schema}.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT current_setting('simulated.now')::timestamptz $$`)
}

interface Session {
  client: Client
  pid: number
  asked?: { sql: string; answer: Promise<{ results: QueryArrayResult[]; error?: string }> }
}

class Replay {
  compared = 0
  private readonly sessions = new Map<number, Session>()
  private readonly ready: Promise<unknown>

  constructor(private readonly database: Database) {
    const { client, schema } = database
    this.ready = client.query(`TRUNCATE ${schema}.orders, ${schema}.effects RESTART IDENTITY`)
  }

  async carryOut(event: PostgresEvent): Promise<void> {
    await this.ready
    if ('ended' in event) return this.close(event.session)
    await this.database.client.query(`UPDATE ${this.database.schema}.clock SET at = $1`, [shown(event.clock, 'timestamptz')])
    if ('sql' in event) return this.ask(event)
    const session = this.sessions.get(event.session) as Session
    const { asked } = session
    if (!asked) return
    delete session.asked
    const isTimeout = event.error === '55P03' || event.error === '57014'
    if (isTimeout) await this.database.client.query('SELECT pg_cancel_backend($1)', [session.pid])
    const { results, error } = await asked.answer
    assert.equal(isTimeout ? '57014' : event.error, isTimeout ? '57014' : error, asked.sql)
    if (event.error !== undefined || NOT_COMPARED.test(asked.sql)) return
    const returned = results.filter(({ fields }) => fields.length > 0)
    assert.deepEqual(returned.map(real), event.results.filter(({ columns }) => columns.length > 0).map(modelled), asked.sql)
    this.compared += 1
  }

  async end(): Promise<void> {
    for (const session of this.sessions.keys()) await this.close(session)
  }

  private async ask({ session: number, sql, params, now }: Extract<PostgresEvent, { sql: string }>): Promise<void> {
    const session = this.sessions.get(number) ?? (await this.open(number))
    const { client } = session
    // Refused where the transaction has failed already.
    await client.query("SELECT set_config('simulated.now', $1, false)", [shown(now, 'timestamptz')]).catch(() => {})
    const text = sql.replace(LIMITS, (_, set: string) => `${set}0`)
    const query = { text, rowMode: 'array' as const, types: { getTypeParser: () => (value: string) => value } }
    const answer = client.query(params ? { ...query, values: params } : query).then(
      (found) => ({ results: (Array.isArray(found) ? found : [found]) as QueryArrayResult[] }),
      (error: { code: string }) => ({ results: [], error: error.code }),
    )
    session.asked = { sql, answer }
    await this.untilAnsweredOrWaiting(session)
  }

  /** What comes next in the story must find the statement where it was in the story: done, or waiting for a lock. */
  private async untilAnsweredOrWaiting({ asked, pid }: Session): Promise<void> {
    let answered = false
    void asked?.answer.then(() => {
      answered = true
    })
    const sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'"
    await waitUntil(async () => answered || ((await this.database.client.query(sql, [pid])).rowCount ?? 0) > 0, { every: 1 })
  }

  private async open(number: number): Promise<Session> {
    const { url, schema } = this.database
    const client = new Client({ connectionString: url, options: `-c search_path=${schema},pg_catalog` })
    client.on('error', () => {})
    await client.connect()
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const session = { client, pid: (rows[0] as { pid: number }).pid }
    this.sessions.set(number, session)
    return session
  }

  /** Rolls back what is open, whatever it waits for. */
  private async close(number: number): Promise<void> {
    const session = this.sessions.get(number)
    this.sessions.delete(number)
    if (!session) return
    if (session.asked) await this.database.client.query('SELECT pg_cancel_backend($1)', [session.pid])
    await session.client.query('ROLLBACK')
    await session.client.end()
  }
}

type Comparable = { columns: [name: string, oid: number][]; rows: (string | null)[][] }

/** Without an ORDER BY, rows come in any order. */
function comparable(columns: [string, number][], rows: (string | null)[][]): Comparable {
  return { columns, rows: rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) }
}

function real({ fields, rows }: QueryArrayResult): Comparable {
  return comparable(
    fields.map(({ name, dataTypeID }) => [name, TEXTS.includes(dataTypeID) ? OIDS.text : dataTypeID]),
    rows as (string | null)[][],
  )
}

function modelled({ columns, rows }: Result): Comparable {
  return comparable(
    columns.map(({ name, type }) => [name, OIDS[type]]),
    rows.map((row) => columns.map(({ type }, i) => shown(row[i] ?? null, type))),
  )
}
