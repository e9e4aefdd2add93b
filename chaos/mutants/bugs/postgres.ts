// Bugs that show when Postgres or the network is in trouble, or where the shop's Sequelize is set up in its own way.

import type { PlantedBug } from '../planted-bug.js'

const AFTER_COMMIT = 'lib/sequelize/after-commit.ts'

const TRANSACTIONS = ['test/sequelize/after-commit.test.ts', 'test/faults/transactions.test.ts']

export const POSTGRES_BUGS: readonly PlantedBug[] = [
  {
    name: 'restart-is-counted',
    about: ['postgres', 'failures'],
    what: "the server's shutdown counted as a failed attempt of the rule",
    edits: [{ file: 'lib/sequelize/sqlstates.ts', find: '/^(?:08|40|53|57|58|XX|55P03)/', replace: '/^(?:08|40|53|58|XX|55P03)/' }],
    suites: ['test/sequelize/fault-owner.test.ts', 'test/faults/postgres-goes.test.ts'],
  },
  {
    name: 'default-isolation',
    about: ['postgres'],
    what: 'our transactions run under whatever isolation the shop has set as its default',
    edits: [
      {
        file: 'lib/sequelize/database.ts',
        find: "'START TRANSACTION ISOLATION LEVEL READ COMMITTED',",
        replace: "'START TRANSACTION',",
      },
    ],
    suites: ['test/faults/postgres-goes.test.ts', 'test/sequelize/query-options.test.ts'],
    likely: 'serializable by default',
  },
  {
    name: 'armed-after-failed-commit',
    about: ['postgres', 'calls'],
    what: 'a timer is armed although COMMIT has failed',
    edits: [
      {
        file: AFTER_COMMIT,
        find: 'const committed = failed ? [] : first.splice(0)',
        replace: 'const committed = first.splice(0)',
      },
    ],
    suites: TRANSACTIONS,
    likely: 'COMMIT itself fails',
  },
  {
    name: 'armed-after-savepoint',
    about: ['postgres', 'calls'],
    what: 'a timer of a savepoint that was rolled back is armed after the outer commit',
    edits: [
      {
        file: AFTER_COMMIT,
        find: 'first.splice(0).filter((entry) => !wasRolledBack(entry.transaction))',
        replace: 'first.splice(0)',
      },
    ],
    suites: TRANSACTIONS,
  },
  {
    name: 'replica-is-asked',
    about: ['postgres', 'scope'],
    what: 'statements that decide are sent to a replica, which may be late',
    edits: [{ file: 'lib/sequelize/database.ts', find: 'isolationLevel: null }', replace: 'isolationLevel: null, readOnly: true }' }],
    suites: ['test/sequelize/replication.test.ts', 'test/sequelize/query-options.test.ts'],
  },
]
