// The doctor against faults of orders and their timers, one at a time.

import { testFault } from './fault.js'
import { ORDERS_FAULTS } from './orders-faults.js'

describe('The doctor names, and its remedy ends:', function () {
  this.timeout(60_000)
  for (const fault of ORDERS_FAULTS) it(fault.what, () => testFault(fault))
})
