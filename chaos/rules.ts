// The rules of the chaos run's shop: every feature, over five tables, six rules on orders alone. What each rule is, is said once more as plain
// data (`RULES`), for the judge, who asks nothing of the package.

import { QueryTypes, type Sequelize, type Transaction } from 'sequelize'
import { effect, type OrderTimers, transition } from '../lib/index.js'
import type { RuleFacts } from './history.js'
import type { Deployment } from './host.js'
import type { ShopRow, Tables } from './tables.js'

/** From each rule's start to its deadline, where nothing else is said. Milliseconds. */
export const AFTER_MS = {
  order_pay: 3000,
  order_quote: 2000,
  order_confirm: 3000,
  order_pack: 2000,
  order_pickup: 1500,
  order_rate: 1500,
  parcel_arrive: 2000,
  parcel_close: 1500,
  rental_end: 2500,
  rental_claim: 3000,
  cart_release: 2500,
  coupon_expire: 2000,
  coupon_void: 1500,
  coupon_purge: 1500,
  coupon_bill: 1000,
  coupon_gift: 1500,
  coupon_lapse: 1500,
  coupon_trial: 1000,
  note: 1500,
} as const
export type RuleKind = keyof typeof AFTER_MS

const REMINDED_BEFORE = '1500ms'
const MAX_EXTENSIONS = 3
const MAX_TOTAL_MS = 4000
const BRAKE = { max: 50, per: 2000 }
const STALE_AFTER_MS = 600_000
const WEEK_MS = 604_800_000
const BILL_ATTEMPTS = 2

/** The rules that only the printed trigger starts. */
export const TRIGGERED: RuleKind[] = ['parcel_arrive', 'parcel_close']

/** What the rules' own code does in a worker. */
export interface OwnCode {
  /** Writes the deliveries down, and throws where some are to fail. */
  deliver(what: 'afterCommit' | 'reminder', kind: RuleKind, rows: readonly ShopRow[], keys: readonly string[]): void
  handle(kind: RuleKind, ids: readonly string[]): void
  /** Throws where a `run` is to fail, after its effects are written. */
  maybeFail(kind: RuleKind, rows: readonly ShopRow[]): void
}

/** In the shop's processes and for migrations, where rules carry nothing out. */
const NO_CODE: OwnCode = { deliver() {}, handle() {}, maybeFail() {} }

export type ChaosRules = ReturnType<typeof allRules>
export type ChaosTimers = OrderTimers<ChaosRules>

export function makeRules(tables: Tables, sequelize: Sequelize, code: OwnCode = NO_CODE, { afterTimes = 1, without }: Deployment = {}) {
  const rules = allRules(tables, sequelize, code, afterTimes)
  if (without !== undefined) delete (rules as Partial<ChaosRules>)[without as RuleKind]
  return rules
}

function allRules({ orders, parcels, rentals, carts, coupons }: Tables, sequelize: Sequelize, code: OwnCode, afterTimes: number) {
  const after = (kind: RuleKind) => Math.round(AFTER_MS[kind] * afterTimes)
  /** An effect of each order's in the settling transaction, and sometimes a failure that undoes it. */
  const run =
    (kind: RuleKind, alsoDo?: (rows: ShopRow[], transaction: Transaction) => Promise<unknown>) =>
    async (rows: ShopRow[], { transaction }: { transaction: Transaction }) => {
      const bind = [kind, rows.map(({ id }) => String(id))]
      const sql = 'INSERT INTO effects (kind, order_id) SELECT $1, unnest($2::text[])'
      await sequelize.query(sql, { bind, transaction, type: QueryTypes.INSERT })
      await alsoDo?.(rows, transaction)
      code.maybeFail(kind, rows)
    }
  const tell =
    (kind: RuleKind) =>
    (rows: ShopRow[], { idempotencyKeys }: { idempotencyKeys: string[] }) =>
      code.deliver('afterCommit', kind, rows, idempotencyKeys)
  const remind =
    (kind: RuleKind) =>
    (rows: ShopRow[], { idempotencyKeys }: { idempotencyKeys: string[] }) =>
      code.deliver('reminder', kind, rows, idempotencyKeys)

  return {
    order_pay: transition(orders, { from: 1, to: 0, since: 'createdAt', after: after('order_pay') }),
    order_quote: transition(orders, { from: 30, to: 31, since: 'createdAt', after: after('order_quote'), auto: true }),
    order_confirm: transition(orders, {
      from: 4,
      to: 5,
      deadline: 'confirmDueAt',
      after: after('order_confirm'),
      pause: { keep: 'confirmLeftMs' },
      maxExtensions: MAX_EXTENSIONS,
      extended: 'confirmExtended',
      set: { confirmedBy: 'timer' },
      run: run('order_confirm'),
    }),
    order_pack: transition(orders, { from: [10, 13], to: 11, deadline: 'packDueAt', after: after('order_pack'), auto: true }),
    order_pickup: transition(orders, {
      from: 11,
      to: 12,
      deadline: 'pickupDueAt',
      after: after('order_pickup'),
      auto: true,
      history: true,
      afterCommit: tell('order_pickup'),
    }),
    order_rate: transition(orders, { from: 20, to: 21, deadline: false, after: after('order_rate') }),

    parcel_arrive: transition(parcels, {
      from: 'sent',
      to: 'arrived',
      deadline: 'arriveAt',
      after: after('parcel_arrive'),
    }),
    parcel_close: transition(parcels, {
      from: 'arrived',
      to: 'closed',
      deadline: 'closeAt',
      after: after('parcel_close'),
      pause: { keep: 'closeLeftMs', while: { disputed: true } },
    }),

    rental_end: transition(rentals, {
      from: 'out',
      to: 'back',
      deadline: 'endsAt',
      after: () => after('rental_end'),
      auto: true,
      pause: { keep: 'endsLeftMs', while: { disputed: true } },
      maxTotal: MAX_TOTAL_MS,
      extended: 'endsExtendedMs',
      individualHooks: true,
    }),
    rental_claim: transition(rentals, {
      from: 'claimed',
      to: 'expired',
      deadline: 'claimBy',
      after: after('rental_claim'),
      history: true,
      reminders: [{ before: REMINDED_BEFORE, run: remind('rental_claim') }],
    }),

    cart_release: effect(carts, {
      where: { isPaid: false },
      since: 'createdAt',
      after: after('cart_release'),
      run: run('cart_release', (rows, transaction) => carts.destroy({ where: { id: rows.map(({ id }) => id) } as never, transaction })),
    }),

    coupon_expire: transition(coupons, {
      from: 'issued',
      to: 'expired',
      deadline: 'expiresAt',
      after: () => after('coupon_expire'),
      backfill: { since: 'issuedAt' },
    }),
    coupon_void: transition(coupons, {
      from: 'suspect',
      to: 'void',
      deadline: 'voidAt',
      after: after('coupon_void'),
      brake: BRAKE,
    }),
    coupon_purge: transition(coupons, {
      from: 'old',
      to: 'purged',
      deadline: 'purgeAt',
      after: after('coupon_purge'),
      staleAfter: STALE_AFTER_MS,
    }),
    coupon_bill: transition(coupons, {
      from: 'billed',
      to: 'charged',
      deadline: 'billAt',
      after: after('coupon_bill'),
      attempts: BILL_ATTEMPTS,
      run: run('coupon_bill'),
      afterCommit: tell('coupon_bill'),
    }),
    coupon_gift: transition(coupons, {
      from: 'gift',
      to: 'given',
      since: 'issuedAt',
      after: after('coupon_gift'),
      where: { fails: false },
    }),
    coupon_lapse: transition(coupons.scope('byPost'), { from: 'lapsing', to: 'lapsed', deadline: 'lapseAt', after: after('coupon_lapse') }),
    coupon_trial: transition(coupons, { from: 'trial', to: 'tried', deadline: 'trialAt', after: after('coupon_trial'), dryRun: true }),

    note: ({ ids }: { ids: string[] }) => code.handle('note', ids),
  }
}

const facts = (
  kind: RuleKind,
  rest: Omit<RuleFacts, 'kind' | 'afterMs' | 'staleAfterMs' | 'attempts'> & Partial<RuleFacts>,
): RuleFacts => ({
  kind,
  afterMs: AFTER_MS[kind],
  staleAfterMs: WEEK_MS,
  attempts: 25,
  ...rest,
})

/** The same rules as plain data. */
export const RULES: readonly RuleFacts[] = [
  facts('order_pay', { features: ['since'], table: 'orders', from: ['1'], to: '0', deadline: { since: 'createdAt' } }),
  facts('order_quote', {
    features: ['since', 'auto'],
    table: 'orders',
    from: ['30'],
    to: '31',
    deadline: { since: 'createdAt' },
    starts: 'auto',
  }),
  facts('order_confirm', {
    features: ['deadline', 'run'],
    table: 'orders',
    from: ['4'],
    to: '5',
    set: { confirmedBy: 'timer' },
    deadline: { column: 'confirmDueAt' },
    pause: { keep: 'confirmLeftMs' },
    extensions: { max: MAX_EXTENSIONS, column: 'confirmExtended' },
    run: true,
  }),
  facts('order_pack', {
    features: ['auto', 'cascade'],
    table: 'orders',
    from: ['10', '13'],
    to: '11',
    deadline: { column: 'packDueAt' },
    starts: 'auto',
    next: 'order_pickup',
  }),
  facts('order_pickup', {
    features: ['auto', 'cascade', 'history', 'afterCommit'],
    table: 'orders',
    from: ['11'],
    to: '12',
    deadline: { column: 'pickupDueAt' },
    starts: 'auto',
    history: true,
    afterCommit: true,
  }),
  facts('order_rate', { features: ['redisOnly'], table: 'orders', from: ['20'], to: '21', deadline: 'redis' }),
  facts('parcel_arrive', {
    features: ['trigger', 'cascade'],
    table: 'parcels',
    from: ['sent'],
    to: 'arrived',
    deadline: { column: 'arriveAt' },
    starts: 'trigger',
    next: 'parcel_close',
  }),
  facts('parcel_close', {
    features: ['trigger', 'cascade', 'declaredPause'],
    table: 'parcels',
    from: ['arrived'],
    to: 'closed',
    deadline: { column: 'closeAt' },
    starts: 'trigger',
    pause: { keep: 'closeLeftMs', while: { disputed: true } },
  }),
  facts('rental_end', {
    features: ['auto', 'declaredPause', 'individualHooks'],
    table: 'rentals',
    from: ['out'],
    to: 'back',
    set: { hookSeen: true },
    deadline: { column: 'endsAt' },
    starts: 'auto',
    pause: { keep: 'endsLeftMs', while: { disputed: true } },
    extensions: { totalMs: MAX_TOTAL_MS, column: 'endsExtendedMs' },
    individualHooks: true,
  }),
  facts('rental_claim', {
    features: ['deadline', 'history', 'reminders'],
    table: 'rentals',
    from: ['claimed'],
    to: 'expired',
    deadline: { column: 'claimBy' },
    history: true,
    reminders: [{ before: REMINDED_BEFORE, beforeMs: 1500, staleAfterMs: 750 }],
  }),
  facts('cart_release', {
    features: ['effect', 'since', 'run'],
    table: 'carts',
    where: { isPaid: false },
    deadline: { since: 'createdAt' },
    run: true,
  }),
  facts('coupon_expire', {
    features: ['backfill'],
    table: 'coupons',
    from: ['issued'],
    to: 'expired',
    deadline: { column: 'expiresAt' },
    backfill: { since: 'issuedAt' },
  }),
  facts('coupon_void', {
    features: ['brake'],
    table: 'coupons',
    from: ['suspect'],
    to: 'void',
    deadline: { column: 'voidAt' },
    brake: { max: BRAKE.max, perMs: BRAKE.per },
  }),
  facts('coupon_purge', {
    features: ['stale'],
    table: 'coupons',
    from: ['old'],
    to: 'purged',
    deadline: { column: 'purgeAt' },
    staleAfterMs: STALE_AFTER_MS,
  }),
  facts('coupon_bill', {
    features: ['dead', 'run'],
    table: 'coupons',
    from: ['billed'],
    to: 'charged',
    deadline: { column: 'billAt' },
    attempts: BILL_ATTEMPTS,
    run: true,
    afterCommit: true,
  }),
  facts('coupon_gift', {
    features: ['since', 'where'],
    table: 'coupons',
    from: ['gift'],
    to: 'given',
    where: { fails: false },
    deadline: { since: 'issuedAt' },
  }),
  facts('coupon_lapse', {
    features: ['scope'],
    table: 'coupons',
    from: ['lapsing'],
    to: 'lapsed',
    where: { byPost: true },
    deadline: { column: 'lapseAt' },
  }),
  facts('coupon_trial', {
    features: ['dryRun'],
    table: 'coupons',
    from: ['trial'],
    to: 'tried',
    deadline: { column: 'trialAt' },
    dryRun: true,
  }),
  facts('note', { features: ['handler'], table: null, deadline: 'redis' }),
]

export function factsOf(kind: string): RuleFacts {
  const found = RULES.find((rule) => rule.kind === kind)
  if (!found) throw new Error(`there is no rule "${kind}"`)
  return found
}
