// The doctor against faults of Postgres, one at a time.

import { testFault } from './fault.js'
import { POSTGRES_FAULTS } from './postgres-faults.js'

describe('The doctor names, and its remedy ends:', function () {
  this.timeout(60_000)
  for (const fault of POSTGRES_FAULTS) it(fault.what, () => testFault(fault))
})
