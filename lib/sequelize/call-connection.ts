// A pooled connection for one call of a request, with a time limit that includes the wait for the pool, a silent server and every lock. A statement
// that could not be sent in time is not sent. One that is not answered in time is cancelled. If the server does not answer that either, the
// connection is closed, and the outcome of a write is unknown: the server may still carry it out.

import { setTimeout as delay } from 'node:timers/promises'
import type { Sequelize, Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'
import { afterRunning } from '../wait.js'
import { ofShopsTransaction } from './call-transaction.js'
import { requestCancel } from './cancel-request.js'
import { faultOwnerOf, sqlStateOf } from './fault-owner.js'
import { connectionManagerOf, type PoolConnection } from './internals.js'
import { ownOptions, ownSearchPath, SEARCH_PATH_IS_SET } from './query-options.js'
import { ROLLED_BACK, SQLSTATE } from './sqlstates.js'

/** How long a call waits for a connection, or for a lock. */
export const LOCK_WAIT_MS = 2_000
/** The part of that which a read leaves for Redis, if Redis is asked after it. */
export const REDIS_SHARE_MS = 400
/** When a running statement is cancelled, and when its connection is cut, counted from the start of the call. */
const CANCEL_MS = 2_100
const CUT_MS = 2_300

/** How often a transaction is repeated if Postgres rolls it back because of others, and the longest pause before the first time; it doubles. */
const MOST_REPEATS = 8
const REPEAT_AFTER_MS = 4

/** `begun`: in a transaction whose COMMIT has not been sent. */
type Phase = 'waiting for the pool' | 'reading' | 'writing' | 'begun' | 'committing'

/** The property of the object that a call's statements get as their transaction. */
const CALL = Symbol('the connection of the call')

/** The call's connection that a statement is about to run on; none if it is the shop's own transaction. */
export function callConnectionOf(transaction: Transaction | null | undefined): CallConnection | undefined {
  return (transaction as { [CALL]?: CallConnection } | null | undefined)?.[CALL]
}

/**
 * Runs `work` in the shop's transaction, if there is one, without our limits; otherwise on a separate connection.
 * @param startedAt when the call began, by `performance.now()`
 * @throws OrderTimersError POSTGRES_UNAVAILABLE, OUTCOME_UNKNOWN, TRANSACTION_FINISHED, and what `work` throws
 */
export function withinCall<T>(
  sequelize: Sequelize,
  transaction: Transaction | undefined,
  startedAt: number,
  work: (within: Transaction) => Promise<T>,
): Promise<T> {
  if (!transaction) return new CallConnection(sequelize, startedAt).run(work)
  return work(transaction).catch((error) => {
    throw ofShopsTransaction(error)
  })
}

export class CallConnection {
  private phase: Phase = 'waiting for the pool'
  private connection: PoolConnection | undefined
  /** Sequelize runs a statement on the connection of the object that it gets as a transaction. */
  private within: Transaction | undefined
  private spoiled = false
  private ended = false
  /** Ends the running limit. */
  private stopLimit: (() => void) | undefined

  constructor(
    private readonly sequelize: Sequelize,
    private readonly startedAt: number,
  ) {}

  run<T>(work: (within: Transaction) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.limit(reject)
      this.connected(work).then(
        (result) => {
          this.end()
          resolve(result)
        },
        (error) => {
          this.end()
          reject(this.isUnanswered(error) ? unknown(error) : error)
        },
      )
    })
  }

  /** Whether the call has had its statement cancelled, since its time is over. */
  get isCancelled(): boolean {
    return this.spoiled
  }

  /** One writing statement that commits by itself. */
  async write<T>(work: () => Promise<T>): Promise<T> {
    this.phase = 'writing'
    const result = await work()
    this.phase = 'reading'
    return result
  }

  /**
   * One READ COMMITTED transaction, which waits for a row's lock for the rest of the call's time. It is repeated if Postgres rolls it back because of
   * others: for a deadlock, or since somebody moved the row to another partition meanwhile.
   */
  async transact<T>(work: () => Promise<T>): Promise<T> {
    for (let repeats = 0; ; repeats += 1) {
      try {
        return await this.transactOnce(work)
      } catch (error) {
        const pauseMs = Math.random() * REPEAT_AFTER_MS * 2 ** repeats
        const mayRepeat = ROLLED_BACK.has(sqlStateOf(error)) && repeats < MOST_REPEATS && pauseMs < this.leftMs(LOCK_WAIT_MS)
        if (!mayRepeat || this.spoiled) throw error
        this.phase = 'reading'
        await delay(pauseMs)
      }
    }
  }

  private async transactOnce<T>(work: () => Promise<T>): Promise<T> {
    this.phase = 'begun'
    const lockMs = Math.round(this.leftMs(LOCK_WAIT_MS))
    const limits = ['lock_timeout', 'statement_timeout'].map((name) => `SET LOCAL ${name} = ${lockMs}`)
    let result: T
    try {
      await this.query(['START TRANSACTION ISOLATION LEVEL READ COMMITTED', ...limits].join('; '))
      result = await work()
    } catch (error) {
      await this.query('ROLLBACK').catch(() => {
        this.spoiled = true
      })
      this.phase = 'reading'
      throw error
    }
    this.phase = 'committing'
    await this.query('COMMIT')
    this.phase = 'reading'
    return result
  }

  private async connected<T>(work: (within: Transaction) => Promise<T>): Promise<T> {
    const manager = connectionManagerOf(this.sequelize)
    const connection = await manager.getConnection({ type: 'RAW', useMaster: true })
    if (this.ended) {
      manager.releaseConnection(connection)
      throw noConnection()
    }
    this.connection = connection
    this.phase = 'reading'
    const within = { connection, [CALL]: this, [SEARCH_PATH_IS_SET]: true } as unknown as Transaction
    this.within = within
    const searchPath = ownSearchPath(this.sequelize)
    if (searchPath) await this.query(searchPath.replace('SET LOCAL', 'SET'))
    return work(within)
  }

  /** One limit at a time: for the pool, then for the statement's end, and then for the answer to its cancellation. */
  private limit(reject: (error: OrderTimersError) => void): void {
    this.stopLimit = afterRunning(this.leftMs(LOCK_WAIT_MS), () => {
      if (this.phase === 'waiting for the pool') {
        this.end()
        return reject(noConnection())
      }
      // In a transaction Postgres itself ends the wait for a lock. A busy server needs some time for a request to cancel.
      const cancelMs = this.phase === 'writing' ? LOCK_WAIT_MS : CANCEL_MS
      this.stopLimit = afterRunning(this.leftMs(cancelMs), () => {
        this.cancel()
        this.stopLimit = afterRunning(CUT_MS - cancelMs, () => {
          const error = this.cut()
          this.end()
          reject(error)
        })
      })
    })
  }

  private leftMs(limitMs: number): number {
    return Math.max(1, limitMs - (performance.now() - this.startedAt))
  }

  /** Ends the limit, and returns the connection to the pool, once. */
  private end(): void {
    if (this.ended) return
    this.ended = true
    this.stopLimit?.()
    if (this.connection === undefined) return
    const manager = connectionManagerOf(this.sequelize)
    if (!this.spoiled) return void manager.releaseConnection(this.connection)
    void manager.destroyConnection(this.connection).catch(() => {})
  }

  private query(sql: string): Promise<unknown> {
    return this.sequelize.query(sql, ownOptions(this.sequelize, this.within as Transaction, { logging: false }))
  }

  /** A late cancel request must not hit another user's statement, so the connection is not used again. */
  private cancel(): void {
    this.spoiled = true
    requestCancel(this.connection as PoolConnection, CUT_MS)
  }

  private cut(): OrderTimersError {
    this.spoiled = true
    this.connection?.connection?.stream?.destroy()
    const isUnknown = this.phase === 'writing' || this.phase === 'committing'
    return isUnknown ? unknown(undefined) : unavailable('Postgres did not answer in time')
  }

  /** Whether a write was sent, and its connection broke before the answer. */
  private isUnanswered(error: unknown): boolean {
    if (this.phase !== 'writing' && this.phase !== 'committing') return false
    if (error instanceof OrderTimersError) return false
    const state = sqlStateOf(error)
    const isAnswered = state !== undefined && SQLSTATE.test(state) && state !== 'EPIPE'
    return !isAnswered && faultOwnerOf(error) === 'database'
  }
}

function noConnection(): OrderTimersError {
  return unavailable(`Sequelize's pool had no connection in time ("pool.max" are in use, or Postgres accepts none)`)
}

function unavailable(what: string): OrderTimersError {
  return new OrderTimersError('POSTGRES_UNAVAILABLE', `orderTimers: ${what}, and nothing was written; it is safe to try again`)
}

function unknown(cause: unknown): OrderTimersError {
  const why = cause === undefined ? 'in time' : `before the connection broke (${errorText(cause)})`
  const remedy =
    'look at remaining() or the row; schedule, cancel, pause and resume are safe to repeat, extend would add the time once more'
  const message = `orderTimers: Postgres was sent the write and did not answer ${why}, so it may still be carried out; ${remedy}`
  return new OrderTimersError('OUTCOME_UNKNOWN', message, cause === undefined ? {} : { cause })
}
