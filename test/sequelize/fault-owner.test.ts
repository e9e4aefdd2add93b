import assert from 'node:assert/strict'
import { faultOwnerOf } from '../../lib/sequelize/fault-owner.js'

describe('The owner of a fault', () => {
  const ofStatement = (code: string, more: object = {}) =>
    Object.assign(new Error('message'), { name: 'SequelizeDatabaseError', parent: { code, ...more } })
  const network = (code: string) => Object.assign(new Error(`connect ${code}`), { code })
  const cases: [string, unknown, string, string][] = [
    ['a TypeError', new TypeError('x is not a function'), 'internal', 'rule'],
    ["an Error of the shop's", new Error('no stamps'), 'internal', 'rule'],
    ['a column that is missing', ofStatement('42703', { position: '9' }), 'configuration', 'rule'],
    ['a table that is missing', ofStatement('42P01'), 'configuration', 'rule'],
    ['a right that is missing', ofStatement('42501'), 'configuration', 'rule'],
    ['a schema that is missing', ofStatement('3F000'), 'configuration', 'rule'],
    ['a table that a trigger misses', ofStatement('42P01', { where: 'PL/pgSQL function f() line 3 at SQL statement' }), 'rule', 'rule'],
    ['a literal that does not fit', ofStatement('22P02', { position: '9' }), 'configuration', 'rule'],
    ['a parameter that does not fit', ofStatement('22P02', { where: 'unnamed portal parameter $1' }), 'configuration', 'rule'],
    ['a row that divides by zero', ofStatement('22012'), 'rule', 'rule'],
    ['a unique constraint', ofStatement('23505'), 'rule', 'rule'],
    ['an exception that a trigger raises', ofStatement('P0001'), 'rule', 'rule'],
    ['a deadlock', ofStatement('40P01'), 'database', 'database'],
    ['a lock', ofStatement('55P03'), 'database', 'database'],
    ['a shutdown', ofStatement('57P01'), 'database', 'database'],
    ['a full disk', ofStatement('53100'), 'database', 'database'],
    ['a read-only server', ofStatement('25006'), 'database', 'rule'],
    [
      'a connection that broke',
      Object.assign(new Error('Connection terminated unexpectedly'), { name: 'SequelizeDatabaseError' }),
      'database',
      'database',
    ],
    [
      'a pool that is exhausted',
      Object.assign(new Error('timeout'), { name: 'SequelizeConnectionAcquireTimeoutError' }),
      'database',
      'database',
    ],
    ['a validation', Object.assign(new Error('no'), { name: 'SequelizeValidationError' }), 'rule', 'rule'],
    ['a refused connection', network('ECONNREFUSED'), 'database', 'rule'],
  ]
  for (const [what, error, ours, shops] of cases) {
    it(`${what}: outside the shop's own code ${ours}, inside it ${shops}`, () => {
      assert.equal(faultOwnerOf(error), ours)
      assert.equal(faultOwnerOf(error, true), shops)
    })
  }
})
