import assert from 'node:assert/strict'
import { epochMsSql } from '../../lib/rows/instant-sql.js'
import { type Database, openDatabase } from '../support/database.js'

describe('an instant in whole milliseconds', () => {
  let database: Database

  beforeEach(async () => {
    database = await openDatabase()
  })

  afterEach(() => database.close())

  const wrong = async (instants: string, milliseconds: string) => {
    const sql = `SELECT at::text, ${epochMsSql('at')} AS got FROM (${instants}) AS sample (at) WHERE ${epochMsSql('at')} IS DISTINCT FROM ${milliseconds} LIMIT 3`
    return (await database.client.query(sql)).rows
  }

  it('is rounded up from microseconds, exactly, as numeric has it', async () => {
    const sample = `SELECT timestamptz '2000-01-01' + (i::float8 * 63113851 + i % 1000) * interval '1 microsecond' FROM generate_series(0, 19999999, 997) AS i`
    assert.deepEqual(await wrong(sample, 'ceil(extract(epoch from at) * 1000)::float8'), [])
  })

  it('is as it stands where it is whole', async () => {
    const sample = `SELECT to_timestamp(0) + i * interval '98765432 milliseconds' FROM generate_series(0, 20000) AS i`
    assert.deepEqual(await wrong(sample, 'extract(epoch from at - to_timestamp(0)) * 1000'), [])
  })

  it('is infinite where the instant is', async () => {
    assert.deepEqual(await wrong(`VALUES (timestamptz '-infinity')`, "'-infinity'::float8"), [])
    assert.deepEqual(await wrong('VALUES (NULL::timestamptz)', 'NULL'), [])
  })
})
