// What is shown of errors: no value of a row, no parameter of a statement, whatever Postgres, Sequelize or Redis put into their errors.

import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { DataTypes, Sequelize } from 'sequelize'
import { errorText } from '../lib/error-text.js'
import { OrderTimersError } from '../lib/errors.js'
import { isReply } from '../lib/redis/replies.js'
import { redisError } from '../lib/redis/trouble.js'
import { sqlStateOf } from '../lib/sequelize/fault-owner.js'
import { type Database, openDatabase } from './support/database.js'
import { openRedis } from './support/redis.js'

const SECRET = 'anna"b@example.org'
const QUOTED = SECRET.replaceAll("'", "''")

async function failureOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work()
  } catch (error) {
    return error
  }
  return assert.fail('it did not fail')
}

const isShown = (text: string) => /anna|example\.org/.test(text)

/** What one of ours keeps of an error beneath it; it may be printed whole. */
function causeOf(error: unknown): unknown {
  const ours = new OrderTimersError('POSTGRES_UNAVAILABLE', 'down', { cause: error })
  const { cause } = ours
  assert.ok(cause instanceof Error && cause instanceof (error as Error).constructor)
  assert.equal(cause.name, (error as Error).name)
  assert.match(cause.stack ?? '', /\n\s+at /)
  const printed = [inspect(ours, { depth: 20 }), JSON.stringify(cause)].join('\n')
  assert.ok(!isShown(printed), printed)
  return cause
}

describe("An error's text", () => {
  let database: Database
  before(async () => {
    database = await openDatabase()
    await database.client.query(`
CREATE TYPE mood AS ENUM ('glad');
CREATE DOMAIN short AS text CHECK (length(value) < 5);
CREATE TABLE people (id serial PRIMARY KEY, email text UNIQUE CHECK (email <> 'x'), mood mood, age integer, name varchar(5), alias short,
  born date, tags text[], data jsonb, parent integer REFERENCES people, EXCLUDE (age WITH =));
INSERT INTO people (email, age) VALUES ('${QUOTED}', 7)`)
  })
  after(() => database.close())

  const bound: [string, string][] = [
    ['a text that is no integer', 'SELECT 1 FROM people WHERE age = $1::text::integer'],
    ['a parameter that is no integer', 'SELECT 1 FROM people WHERE age = $1'],
    ['a text that is no date', 'SELECT $1::text::date'],
    ['a text that is no timestamp', 'SELECT $1::text::timestamptz'],
    ['a text that is no number', 'SELECT $1::text::numeric'],
    ['a text that is no boolean', 'SELECT $1::text::boolean'],
    ['a text that is no uuid', 'SELECT $1::text::uuid'],
    ['a text that is no array', 'SELECT $1::text::text[]'],
    ['a text that is no JSON', 'SELECT $1::text::jsonb'],
    ['a text that is no interval', 'SELECT $1::text::interval'],
    ['a text that is no range', 'SELECT $1::text::int4range'],
    ['a text that is no address', 'SELECT $1::text::inet'],
    ['a value that an ENUM has not', 'UPDATE people SET mood = $1::text::mood'],
    ['a value that is too long', 'UPDATE people SET name = $1'],
    ['a value that a domain refuses', 'UPDATE people SET alias = $1::text'],
    ['a value that is there already', 'INSERT INTO people (email) VALUES ($1)'],
    ['a value that a CHECK refuses', "UPDATE people SET email = CASE WHEN $1 <> '' THEN 'x' END"],
    ['a row that refers to nothing', 'UPDATE people SET parent = 99 WHERE email = $1'],
    ['a row that excludes another', "INSERT INTO people (age, email) VALUES (7, $1 || '2')"],
    ['NULL where there must be a value', 'UPDATE people SET id = NULL WHERE email = $1'],
    ['an unknown time zone', 'SELECT now() AT TIME ZONE $1'],
    ['a field of a date that is not there', 'SELECT date_part($1, now())'],
    ['an unknown encoding', "SELECT convert_to('a', $1)"],
    ['an expression that is no regular one', "SELECT 'a' ~ ($1 || '(')"],
  ]
  for (const [what, sql] of bound) {
    it(`of Postgres shows none: ${what}`, async () => {
      const error = await failureOf(() => database.sequelize.query(sql, { bind: [SECRET] }))
      assert.ok(errorText(error).length > 10)
      assert.ok(!isShown(errorText(error)), errorText(error))
      assert.equal(sqlStateOf(causeOf(error)), sqlStateOf(error))
    })
  }

  it('of Sequelize shows none: validation, types, values that cannot be escaped', async () => {
    const strict = new Sequelize(database.url, { logging: false, typeValidation: true })
    const Person = strict.define('Person', {
      age: { type: DataTypes.INTEGER, validate: { isInt: true } },
      email: { type: DataTypes.STRING, validate: { isIn: [['a']] } },
      name: { type: DataTypes.STRING, allowNull: false },
    })
    const errors = [
      await failureOf(() => Person.create({ age: SECRET, email: SECRET, name: 'a' })),
      await failureOf(() => Person.create({ name: [SECRET] })),
      await failureOf(() => Person.findAll({ where: { age: SECRET } })),
      await failureOf(() => Person.findAll({ where: { email: { some: SECRET } as never } })),
      await failureOf(() => Person.bulkCreate([{ age: SECRET }, { email: SECRET }], { validate: true })),
    ]
    await strict.close()
    for (const error of errors) {
      assert.ok(!isShown(errorText(error)), errorText(error))
      causeOf(error)
    }
  })

  it("of Redis shows none of a command's arguments", async () => {
    const redis = await openRedis()
    const error = await failureOf(() => redis.client.call('ORDERS', SECRET))
    await redis.close()
    assert.match(errorText(error), /unknown command/)
    assert.ok(!isShown(errorText(error)), errorText(error))
    assert.ok(isReply(causeOf(error)))
    assert.ok(!isShown(redisError(error, 'redis:6379').message))
  })

  it('exists for any thrown value', () => {
    const hostile = Object.defineProperty(new Error('x'), 'message', {
      get: () => {
        throw new Error('y')
      },
    })
    const thrown = [
      null,
      undefined,
      1,
      Symbol('s'),
      'text',
      {},
      Object.create(null),
      { email: SECRET },
      [SECRET],
      new AggregateError([]),
      hostile,
    ]
    for (const one of thrown) {
      assert.equal(typeof errorText(one), 'string')
      assert.ok(!isShown(errorText(one)))
    }
  })
})
