// Our own transactions where Postgres does not answer. The pool has one connection, which somebody else holds at first.

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Sequelize } from 'sequelize'
import { type BeginQuestion, inTransaction, rows } from '../../lib/sequelize/database.js'
import { ONE_STATEMENT } from '../../lib/sequelize/statement-limits.js'
import { type Database, openDatabase } from '../support/database.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { inTime } from '../support/waiting.js'

const BEGIN = 'START TRANSACTION ISOLATION LEVEL READ COMMITTED'

describe('A transaction of our own', () => {
  let proxy: TcpProxy
  let database: Database
  let sequelize: Sequelize

  beforeEach(async () => {
    const url = new URL(process.env.DATABASE_URL as string)
    proxy = await TcpProxy.start(Number(url.port))
    database = await openDatabase()
    ;({ sequelize } = database.connectSequelize({ url: Object.assign(url, { port: proxy.port }).href, pool: { max: 1 } }))
  })

  afterEach(async () => {
    await proxy.stop()
    await database.close()
  })

  const begin = (options: { stopping?: AbortSignal; begin?: BeginQuestion } = {}) =>
    inTransaction(sequelize, ONE_STATEMENT, (own) => rows<{ one: number }>(sequelize, 'SELECT 1 AS one', undefined, own), options)

  /** Begins one while somebody else holds the connection for so long. @returns once BEGIN was sent and is held back */
  const beginLate = async (waitMs: number, stopping?: AbortSignal) => {
    const others = await sequelize.transaction()
    const own = begin(stopping ? { stopping } : {})
    own.catch(() => {})
    await delay(waitMs)
    const point = proxy.hold(BEGIN)
    await others.rollback()
    await point.seen
    return { own, point }
  }

  /** The connection was closed, and the pool opens another. */
  const gaveUp = async (own: Promise<unknown>, within: number) => {
    await assert.rejects(inTime(own, within, 'BEGIN to be given up'), /Connection terminated unexpectedly/)
    assert.deepEqual(await begin(), [{ one: 1 }])
  }

  it('gives BEGIN up within seconds, however long it has waited for the connection', async () => {
    const { own } = await beginLate(4_500)
    await gaveUp(own, 6_000)
  }).timeout(30_000)

  it('does so within a second or two where it was told to stop during that wait', async () => {
    const { own } = await beginLate(4_500, AbortSignal.timeout(1))
    await gaveUp(own, 3_000)
  }).timeout(30_000)

  it('has its time for BEGIN also after such a wait', async () => {
    const { own, point } = await beginLate(3_000)
    await delay(2_000)
    point.release()
    assert.deepEqual(await own, [{ one: 1 }])
  }).timeout(30_000)

  it('gives up as well where BEGIN has failed and the ROLLBACK is not answered', async () => {
    const point = proxy.hold('ROLLBACK')
    const own = begin({ stopping: AbortSignal.abort(), begin: { statements: ['SELECT 1 / 0'], answer: () => {} } })
    own.catch(() => {})
    await point.seen
    await assert.rejects(inTime(own, 3_000, 'the ROLLBACK to be given up'), /division by zero/)
    assert.deepEqual(await begin(), [{ one: 1 }])
  }).timeout(30_000)
})
