// A Postgres: connections that speak its protocol, transactions, locks that are waited for, and the timeouts that the package sets. It can be
// killed, and then forgets what was not committed.

import { parseSync } from 'libpg-query'
import type { Peer, Server, Session } from '../network.js'
import type { VirtualTime } from '../virtual-time.js'
import { catalogAnswer } from './catalog.js'
import type { Node } from './expressions.js'
import { MustWait, prepare, type Result, type Statement } from './statements.js'
import { type Table, Transaction } from './tables.js'
import { SqlError } from './values.js'
import * as wire from './wire.js'

export const POSTGRES = 'postgres'

/** What happened in a Postgres, in order, so that it can be held against a real one. Instants are microseconds since 1970. */
export type PostgresEvent =
  /** Parameters as text; none in the simple protocol. `now`: when the transaction began that the statement is in. */
  | { session: number; sql: string; params: (string | null)[] | undefined; now: number; clock: number }
  /** The SQLSTATE, where it failed. */
  | { session: number; results: readonly Result[]; error: string | undefined; clock: number }
  | { session: number; ended: true }

type Prepared = { node: Node; run?: Statement }

export class PostgresModel implements Server {
  readonly name = POSTGRES
  /** How far its clock is off, milliseconds. */
  clockOffMs = 0
  down = false
  /** Told of everything that happens. */
  record: ((event: PostgresEvent) => void) | undefined
  /** Statements that the model does not know; none may be left at the end. */
  readonly unknown: string[] = []
  private readonly sessions = new Map<number, PostgresSession>()
  private readonly advisory = new Map<string, Transaction>()
  private readonly prepared = new Map<string, Prepared[]>()
  private readonly transactions = new Map<string, Transaction>()
  private lastPid = 100
  private lastTransaction = 700

  constructor(
    readonly time: VirtualTime,
    readonly tables: ReadonlyMap<string, Table>,
  ) {}

  /** Microseconds since 1970. */
  clock(): number {
    return Math.floor((this.time.epochMs + this.clockOffMs) * 1000)
  }

  accept(peer: Peer): Session | undefined {
    if (this.down) return undefined
    const session = new PostgresSession(this, peer, ++this.lastPid)
    this.sessions.set(session.pid, session)
    return session
  }

  forget(session: PostgresSession): void {
    this.sessions.delete(session.pid)
  }

  /** What was open is rolled back. The caller cuts the connections. */
  stop(): void {
    this.down = true
    for (const session of [...this.sessions.values()]) session.closed()
  }

  cancel(pid: number): void {
    this.sessions.get(pid)?.cancel()
  }

  begin(application: string, explicit: boolean): Transaction {
    const transaction = new Transaction(++this.lastTransaction, application, this.clock(), explicit)
    this.transactions.set(String(transaction.id), transaction)
    return transaction
  }

  running(xid: string): Transaction | undefined {
    for (const [id, { ended }] of this.transactions) if (ended) this.transactions.delete(id)
    return this.transactions.get(xid)
  }

  /** The transactions' locks are one statement's or many's; they go when their transaction ends. */
  tryAdvisoryLock(transaction: Transaction, name: string): boolean {
    const holder = this.advisory.get(name)
    if (holder && holder !== transaction && !holder.ended) return false
    this.advisory.set(name, transaction)
    return true
  }

  parse(sql: string): Prepared[] {
    let prepared = this.prepared.get(sql)
    if (!prepared) {
      prepared = parsed(sql).map((node) => ({ node }))
      this.prepared.set(sql, prepared)
    }
    return prepared
  }
}

/** By text, for all runs. */
const trees = new Map<string, Node[]>()
const SET_LOCAL = /^SET LOCAL (\w+) = (\d+)$/

function parsed(sql: string): Node[] {
  const known = trees.get(sql)
  if (known) return known
  // A call's limits are what is left of its time, so each such text is new.
  const parts = sql.startsWith('START TRANSACTION') ? sql.split('; ') : [sql]
  const nodes = parts.length > 1 ? parts.flatMap((part) => limit(part) ?? parsed(part)) : parse(sql)
  if (parts.length === 1) trees.set(sql, nodes)
  return nodes
}

function limit(sql: string): Node | undefined {
  const [, name, value] = SET_LOCAL.exec(sql) ?? []
  return name && { VariableSetStmt: { name, is_local: true, args: [{ A_Const: { ival: { ival: Number(value) } } }] } }
}

function parse(sql: string): Node[] {
  const { stmts = [] } = parseSync(sql) as { stmts?: { stmt: Node }[] }
  return stmts.map(({ stmt }) => stmt)
}

type Settings = Record<string, number>

class PostgresSession implements Session {
  private buffered: Buffer = Buffer.alloc(0)
  private started = false
  private application = ''
  private transaction: Transaction | undefined
  private session: Settings = {}
  private local: Settings = {}
  /** Messages that wait for the statement that runs. */
  private readonly queue: { type: string; body: Buffer }[] = []
  private busy = false
  /** After an error, everything up to Sync is skipped. */
  private skipping = false
  private sql = ''
  /** Of the text of statements that runs. */
  private results: Result[] = []
  private params: (string | null)[] = []
  private stopIdle: () => void = () => {}
  private stopWaiting: ((error: SqlError) => void) | undefined
  private over = false

  constructor(
    private readonly server: PostgresModel,
    private readonly peer: Peer,
    readonly pid: number,
  ) {}

  receive(data: Buffer): void {
    this.buffered = this.buffered.length > 0 ? Buffer.concat([this.buffered, data]) : data
    if (!this.started && !this.start()) return
    for (;;) {
      const message = wire.next(this.buffered)
      if (!message) break
      this.buffered = message.rest
      this.queue.push(message)
    }
    this.work()
  }

  closed(): void {
    if (this.over) return
    this.over = true
    this.server.record?.({ session: this.pid, ended: true })
    this.stopIdle()
    this.stopWaiting = undefined
    this.transaction?.end(false)
    this.transaction = undefined
    this.server.forget(this)
  }

  cancel(): void {
    this.stopWaiting?.(new SqlError('57014', 'canceling statement due to user request'))
  }

  private start(): boolean {
    const startup = wire.startup(this.buffered)
    if (!startup) return false
    this.buffered = startup.rest
    if (startup.cancels !== undefined) {
      this.server.cancel(startup.cancels)
      this.closed()
      this.peer.end()
      return false
    }
    this.started = true
    this.application = startup.parameters.application_name ?? ''
    this.peer.send(wire.greeting(this.pid))
    return true
  }

  private work(): void {
    while (!this.busy && !this.over) {
      const message = this.queue.shift()
      if (!message) return
      this.stopIdle()
      this.take(message)
    }
  }

  private take({ type, body }: { type: string; body: Buffer }): unknown {
    if (type === 'X') {
      this.closed()
      return
    }
    if (type === 'S') {
      this.skipping = false
      return this.ready()
    }
    if (this.skipping) return
    switch (type) {
      case 'Q':
        return this.simple(wire.text(body, 0).value)
      case 'P': {
        const name = wire.text(body, 0)
        this.sql = wire.text(body, name.end).value
        return this.peer.send(wire.parseComplete)
      }
      case 'B':
        this.params = wire.boundValues(body)
        return this.peer.send(wire.bindComplete)
      case 'E':
        return this.runAll(this.sql, this.params, true, () => {})
    }
  }

  private simple(sql: string): unknown {
    return this.runAll(sql, [], false, () => this.ready())
  }

  /** Runs the statements of one text, one after the other; an error ends it. */
  private runAll(sql: string, params: (string | null)[], extended: boolean, done: () => unknown): unknown {
    this.results = []
    this.told({ sql, params: extended ? params : undefined, now: this.transaction?.startedAt ?? this.server.clock() })
    const end = (error?: string) => {
      this.told({ results: this.results, error })
      done()
    }
    const fail = (error: unknown) => {
      const { state } = this.fail(error, sql)
      this.skipping = extended
      end(state)
      this.work()
    }
    let catalog: ReturnType<typeof catalogAnswer>
    try {
      catalog = catalogAnswer(sql, params, this.server.tables, (xid) => this.server.running(xid), this.server.clock())
    } catch (error) {
      return fail(error)
    }
    if (catalog) {
      this.give({ ...catalog, tag: `SELECT ${catalog.rows.length}` }, true)
      return end()
    }
    let prepared: Prepared[]
    try {
      prepared = this.server.parse(sql)
    } catch (error) {
      return fail(error)
    }
    const from = (i: number): unknown => {
      const one = prepared[i]
      if (!one) {
        if (prepared.length === 0) this.peer.send(wire.emptyQuery)
        return end()
      }
      this.runOne(one, params, extended, () => from(i + 1), fail)
    }
    from(0)
  }

  private runOne(
    one: Prepared,
    params: (string | null)[],
    extended: boolean,
    done: () => unknown,
    fail: (error: unknown) => unknown,
  ): unknown {
    const [kind] = Object.keys(one.node)
    const body = one.node[kind as string]
    if (kind === 'TransactionStmt') return this.attempt(fail, () => this.transact(body.kind), done)
    if (this.transaction?.aborted)
      return fail(new SqlError('25P02', 'current transaction is aborted, commands ignored until end of transaction block'))
    if (kind === 'VariableSetStmt') {
      const value = Number(body.args?.[0]?.A_Const?.ival?.ival ?? 0)
      if (body.is_local) this.local[body.name] = value
      else this.session[body.name] = value
      return this.attempt(fail, () => this.peer.send(wire.complete('SET')), done)
    }
    this.transaction ??= this.server.begin(this.application, false)
    const { transaction } = this
    const run = () => {
      one.run ??= prepare(one.node, this.server.tables)
      const { server } = this
      const session = {
        now: () => transaction.startedAt,
        clock: () => server.clock(),
        tryAdvisoryLock: (name: string) => server.tryAdvisoryLock(transaction, name),
        setLocal: (name: string, value: string) => {
          this.local[name] = Number(value)
        },
      }
      const result = one.run({ transaction, session, params })
      this.give(result, extended ? result.columns.length > 0 : result.tag.startsWith('SELECT') || result.columns.length > 0)
    }
    this.tryUntilFree(run, done, fail, performance.now())
  }

  private attempt(fail: (error: unknown) => unknown, act: () => void, done: () => unknown): unknown {
    try {
      act()
    } catch (error) {
      return fail(error)
    }
    done()
  }

  /** Runs a statement; where it must wait for a transaction, again when that has ended. */
  private tryUntilFree(run: () => void, done: () => unknown, fail: (error: unknown) => unknown, since: number): unknown {
    try {
      run()
    } catch (error) {
      if (!(error instanceof MustWait)) return fail(error)
      return this.wait(error.holder, () => this.tryUntilFree(run, done, fail, since), fail, since)
    }
    done()
  }

  private wait(holder: Transaction, again: () => void, fail: (error: unknown) => unknown, since: number): void {
    const { time } = this.server
    const limits = { ...this.session, ...this.local }
    this.busy = true
    let stop: () => void = () => {}
    const end = (act: () => void) => {
      stop()
      this.stopWaiting = undefined
      this.busy = false
      act()
      this.work()
    }
    this.stopWaiting = (error) => end(() => fail(error))
    const own = this.stopWaiting
    const passed = performance.now() - since
    const left = [
      { ms: limits.lock_timeout, error: new SqlError('55P03', 'canceling statement due to lock timeout') },
      {
        ms: limits.statement_timeout && limits.statement_timeout - passed,
        error: new SqlError('57014', 'canceling statement due to statement timeout'),
      },
    ].filter((one): one is { ms: number; error: SqlError } => Boolean(one.ms))
    const first = left.sort((a, b) => a.ms - b.ms)[0]
    if (first) stop = time.schedule(POSTGRES, Math.max(0, first.ms), () => this.stopWaiting === own && own(first.error))
    holder.waiting.push(() => time.schedule(POSTGRES, 0.05 * time.random.next(), () => this.stopWaiting === own && end(again)))
  }

  private transact(kind: string): unknown {
    const { transaction } = this
    switch (kind) {
      case 'TRANS_STMT_BEGIN':
      case 'TRANS_STMT_START':
        if (transaction) transaction.explicit = true
        else this.transaction = this.server.begin(this.application, true)
        return this.peer.send(wire.complete(kind === 'TRANS_STMT_BEGIN' ? 'BEGIN' : 'START TRANSACTION'))
      case 'TRANS_STMT_COMMIT':
      case 'TRANS_STMT_ROLLBACK': {
        const commits = kind === 'TRANS_STMT_COMMIT' && !transaction?.aborted
        this.endTransaction(commits)
        return this.peer.send(wire.complete(commits ? 'COMMIT' : 'ROLLBACK'))
      }
    }
    throw new Error(`Postgres: ${kind} is not modelled`)
  }

  private endTransaction(commits: boolean): void {
    const { transaction } = this
    this.transaction = undefined
    this.local = {}
    transaction?.end(commits)
  }

  private told(event: Omit<Extract<PostgresEvent, { clock: number }>, 'session' | 'clock'>): void {
    this.server.record?.({ ...event, session: this.pid, clock: this.server.clock() } as PostgresEvent)
  }

  private give(result: Result, describes: boolean): void {
    this.results.push(result)
    const parts = describes ? [wire.rowDescription(result.columns)] : [wire.noData]
    for (const row of result.rows) parts.push(wire.dataRow(row, result.columns))
    parts.push(wire.complete(result.tag))
    this.peer.send(Buffer.concat(parts))
  }

  private fail(error: unknown, sql: string): SqlError {
    let told = error
    if (!(error instanceof SqlError)) {
      this.server.unknown.push(`${(error as Error).message} in ${sql}`)
      told = new SqlError('XX000', (error as Error).message)
    }
    if (this.transaction?.explicit) this.transaction.aborted = true
    else this.endTransaction(false)
    this.peer.send(wire.error(told as SqlError))
    return told as SqlError
  }

  private ready(): void {
    if (this.transaction && !this.transaction.explicit) this.endTransaction(true)
    const status = this.transaction ? (this.transaction.aborted ? 'E' : 'T') : 'I'
    this.peer.send(wire.readyForQuery(status))
    const idleMs = { ...this.session, ...this.local }.idle_in_transaction_session_timeout
    if (!this.transaction || !idleMs) return
    this.stopIdle = this.server.time.schedule(POSTGRES, idleMs, () => {
      this.peer.send(wire.error(new SqlError('25P03', 'terminating connection due to idle-in-transaction timeout'), 'FATAL'))
      this.closed()
      this.peer.end()
    })
  }
}
