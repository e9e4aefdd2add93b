// `express-order-timers/testing`, for a shop's own tests on its real servers. Exports, nothing else.

export { type ExpireOptions, expire } from './testing/expire.js'
export { assertNotScheduled, assertScheduled, type ScheduledOptions } from './testing/scheduled.js'
