// Whether Postgres answers, lets this role in, and takes writes.

import { sqlStateOf } from '../../sequelize/fault-owner.js'
import { byHand, type Check, fine, psql, type Remedy, shell, wrong } from './check.js'
import { type SubjectDatabase, why } from './subject.js'

const REACHABLE = 'postgres.reachable'
const WRITABLE = 'postgres.writable'
const TOO_MANY_CONNECTIONS = '53300'
const NO_DATABASE = '3D000'
const BAD_LOGIN = /^28/

export const postgresReachable: Check = {
  name: REACHABLE,
  async look({ databases }) {
    return databases.flatMap((database) => {
      const expected = `Postgres at ${database.where} answers`
      const { trouble, server } = database
      if (!server) return [wrong(REACHABLE, { expected, found: `it does not (${why(trouble)})` }, ...remediesOf(database))]
      return [fine(REACHABLE, { expected, found: `it answers, Postgres ${server.version}` }), writable(database)]
    })
  },
}

function writable({ server, where, sequelize }: SubjectDatabase) {
  const expected = 'it takes writes'
  if (server?.isStandby)
    return wrong(WRITABLE, { expected, found: `${where} is a standby, which takes none` }, byHand('give the address of the primary'))
  if (!server?.isReadOnly) return fine(WRITABLE, { expected, found: 'a primary' })
  const { database } = sequelize.config
  const found = 'default_transaction_read_only is on, so every settlement fails'
  return wrong(
    WRITABLE,
    { expected, found },
    psql(`ALTER DATABASE "${database}" RESET default_transaction_read_only`),
    psql(`ALTER ROLE "${server.role}" RESET default_transaction_read_only`),
    byHand('then connect again: open sessions keep the old setting'),
  )
}

function remediesOf({ trouble, where, sequelize }: SubjectDatabase): Remedy[] {
  const state = sqlStateOf(trouble) ?? ''
  const { database, username } = sequelize.config
  if (state === TOO_MANY_CONNECTIONS) {
    const mostly = 'SELECT application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 3 DESC'
    return [psql(mostly), byHand('end what holds so many, make pools smaller, or raise "max_connections"')]
  }
  if (state === NO_DATABASE) return [psql(`CREATE DATABASE "${database}"`), byHand('or name the right one in your Sequelize')]
  if (BAD_LOGIN.test(state)) return [byHand(`give your Sequelize the user and the password that Postgres knows (it was "${username}")`)]
  return [shell(`pg_isready -d postgres://${where}`), byHand('start it, or give your Sequelize the right address')]
}
