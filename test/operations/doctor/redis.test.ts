// The doctor against faults of Redis, one at a time.

import { testFault } from './fault.js'
import { REDIS_FAULTS } from './redis-faults.js'
import { RIGHTS_FAULTS } from './rights-faults.js'

describe('The doctor names, and its remedy ends:', function () {
  this.timeout(60_000)
  for (const fault of [...REDIS_FAULTS, ...RIGHTS_FAULTS]) it(fault.what, () => testFault(fault))
})
