// `express-order-timers/calendar`: deadlines in working days and hours. Exports, nothing else.

export { type Calendar, calendar } from './calendar/calendar.js'
export type { CalendarOptions, Hours } from './calendar/options.js'
