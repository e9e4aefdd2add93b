// Bugs of `hold`: a settlement that commits after it has returned, and a release that moves deadlines twice.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

import type { PlantedBug } from '../planted-bug.js'

const SWITCH = 'lib/rows/hold-switch.ts'
const SHIFT = 'lib/rows/hold-shift.ts'
const SUITES = ['test/life/hold.test.ts', 'test/operations/hold.test.ts']

export const HOLD_BUGS: readonly PlantedBug[] = [
  {
    name: 'hold-without-lock',
    about: ['hold'],
    what: 'settling takes no lock, so hold returns while a transaction that began before still settles',
    edits: [{ file: SWITCH, find: 'pg_try_advisory_xact_lock_shared(${holdLockSql(place, of)})', replace: 'TRUE' }],
    suites: SUITES,
    likely: 'is being settled',
  },
  {
    name: 'hold-not-looked-at',
    about: ['hold'],
    what: 'the lock is taken, and nobody looks whether the kind is held',
    edits: [{ file: SWITCH, find: 'if (row?.order_timers_since === undefined) return undefined', replace: 'return undefined' }],
    suites: SUITES,
    likely: 'by every path',
  },
  {
    name: 'hold-locked-before-it-is-placed',
    about: ['hold'],
    what: 'hold waits for what is being settled before its row is committed, so a transaction that begins between the two settles',
    edits: [
      {
        file: 'lib/timers/hold.ts',
        find: 'const hold = await row.holds.place(placed, beside)\n  const settling = await row.holds.awaitSettling(waitMs)',
        replace: 'const settling = await row.holds.awaitSettling(waitMs)\n  const hold = await row.holds.place(placed, beside)',
      },
    ],
    suites: SUITES,
    likely: 'is being settled',
  },
  {
    name: 'shift-without-end',
    about: ['hold'],
    what: 'a release with shift moves the deadlines of orders too that were placed after it had begun',
    edits: [{ file: SHIFT, find: '[`${table.id} <= $4`,', replace: '[`(${table.id} <= $4 OR TRUE)`,' }],
    suites: SUITES,
    likely: 'moves what is written meanwhile',
  },
  {
    name: 'shift-cursor-as-text',
    about: ['hold'],
    what: 'a release with shift goes on behind the id that is the last as text, so orders are moved twice',
    edits: [{ file: SHIFT, find: 'ORDER BY page.id DESC', replace: 'ORDER BY page.id::text DESC' }],
    suites: SUITES,
    likely: 'moves each deadline',
  },
]
