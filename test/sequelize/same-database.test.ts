import assert from 'node:assert/strict'
import { type Options, Sequelize } from 'sequelize'
import { isSameDatabase } from '../../lib/sequelize/same-database.js'

describe('whether two Sequelize instances have one database', () => {
  const of = (options: Options) =>
    new Sequelize({ dialect: 'postgres', logging: false, host: 'db', database: 'shop', username: 'shop', ...options })
  const WRITE = { replication: { write: { host: 'primary' }, read: [{ host: 'replica' }] } }
  const afterConnect = () => {}

  it('is so where all that tells is the same', () => {
    assert.equal(isSameDatabase(of({}), of({ pool: { max: 1 } })), true)
    assert.equal(isSameDatabase(of(WRITE), of(WRITE)), true)
    assert.equal(isSameDatabase(of(WRITE), of({ host: 'primary' })), true)
    const hooked = of({ hooks: { afterConnect } })
    assert.equal(isSameDatabase(hooked, hooked), true)
  })

  const OTHERS: Record<string, Options> = {
    'another host': { host: 'other' },
    'another port': { port: 5433 },
    'another database': { database: 'tenant' },
    'another user, whose schema comes first in the default search path': { username: 'tenant' },
    'another search path': { searchPath: 'tenant' } as Options,
    'another search path for all statements': { query: { searchPath: 'tenant' } } as Options,
    'another search path of its connections': { dialectOptions: { options: '-c search_path=tenant' } },
    'a hook that may set the search path': { hooks: { afterConnect } },
  }
  for (const [what, options] of Object.entries(OTHERS)) {
    it(`is not so with ${what}`, () => assert.equal(isSameDatabase(of({}), of(options)), false))
    if (what !== 'another host')
      it(`is not so with ${what}, also where the primary of a replication is named by its host alone`, () =>
        assert.equal(isSameDatabase(of(WRITE), of({ ...WRITE, ...options })), false))
  }

  it('is not so with another primary', () => {
    const other = { replication: { ...WRITE.replication, write: { host: 'primary', database: 'tenant' } } }
    assert.equal(isSameDatabase(of(WRITE), of(other)), false)
  })
})
