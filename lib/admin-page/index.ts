// The entry `express-order-timers/admin`.

export { type AdminRouter, orderTimersAdmin } from './admin.js'
export type { AdminAction, AdminGrant, AdminOptions, AdminQuestion, Authorize, ShowOrder } from './options.js'
