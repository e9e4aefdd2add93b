// A run of a shop, written by hand: calls and settlements happen one after the other, as they would where nothing goes wrong, and every record that
// the judge reads is written. A test then says what went wrong.

import type { Answer, Call, Change, ListedTimer, Row, RuleFacts, Wish } from '../../../chaos/history.js'
import { applies, deadlineColumn, deadlineOf, isHeld, isPending, keptOf, STATUS, wholeMs } from '../../../chaos/judge/rule-facts.js'
import type { BrakeChange, BrakeRow, Run } from '../../../chaos/judge/run.js'
import { changedColumns } from '../../../chaos/judge/wish-fits.js'

export const BEGIN = 1_700_000_000_000
const SWEEP_MS = 2_000

const COMMON = { staleAfterMs: 60_000, attempts: 5, table: 'orders' }

/** One rule of each sort. */
export const RULES = {
  pay: { ...COMMON, kind: 'pay', features: ['since'], from: ['1'], to: '0', deadline: { since: 'createdAt' }, afterMs: 3_000 },
  confirm: {
    ...COMMON,
    kind: 'confirm',
    features: ['deadline', 'extend', 'cancel', 'pause', 'run', 'history', 'afterCommit', 'reminders'],
    from: ['4'],
    to: '5',
    deadline: { column: 'confirmDueAt' },
    afterMs: 3_000,
    pause: { keep: 'confirmLeftMs' },
    extensions: { max: 2, column: 'confirmExtended' },
    run: true,
    history: true,
    afterCommit: true,
    reminders: [{ before: '1s', beforeMs: 1_000, staleAfterMs: 500 }],
  },
  pack: {
    ...COMMON,
    kind: 'pack',
    features: ['auto', 'cascade'],
    from: ['10'],
    to: '11',
    set: { packedBy: 'timer' },
    deadline: { column: 'packDueAt' },
    afterMs: 1_000,
    starts: 'auto',
    next: 'send',
  },
  send: {
    ...COMMON,
    kind: 'send',
    features: ['auto', 'cascade'],
    from: ['11'],
    to: '12',
    deadline: { column: 'sendDueAt' },
    afterMs: 1_500,
    starts: 'auto',
  },
  arrive: {
    ...COMMON,
    table: 'parcels',
    kind: 'arrive',
    features: ['trigger', 'cascade'],
    from: ['0'],
    to: '1',
    deadline: { column: 'arriveAt' },
    afterMs: 1_000,
    starts: 'trigger',
    next: 'dispute',
  },
  dispute: {
    ...COMMON,
    table: 'parcels',
    kind: 'dispute',
    features: ['trigger', 'declaredPause', 'backfill'],
    from: ['1'],
    to: '2',
    deadline: { column: 'dueAt' },
    afterMs: 2_000,
    starts: 'trigger',
    pause: { keep: 'leftMs', while: { disputeOpen: true } },
    backfill: {},
  },
  cart: {
    ...COMMON,
    table: 'carts',
    kind: 'cart',
    features: ['effect'],
    where: { isPaid: false },
    deadline: { since: 'createdAt' },
    afterMs: 1_000,
    run: true,
  },
  braked: {
    ...COMMON,
    table: 'brakes',
    kind: 'braked',
    features: ['brake'],
    from: ['1'],
    to: '0',
    deadline: { since: 'createdAt' },
    afterMs: 500,
    brake: { max: 3, perMs: 10_000 },
  },
  fleeting: {
    ...COMMON,
    table: 'fleeting',
    kind: 'fleeting',
    features: ['redisOnly'],
    from: ['1'],
    to: '0',
    deadline: 'redis',
    afterMs: 1_000,
  },
  trial: {
    ...COMMON,
    table: 'trials',
    kind: 'trial',
    features: ['dryRun'],
    from: ['1'],
    to: '0',
    deadline: { column: 'trialAt' },
    afterMs: 1_000,
    dryRun: true,
  },
  handle: { ...COMMON, table: null, kind: 'handle', features: ['handler'], deadline: 'redis', afterMs: 1_000 },
} as const satisfies Record<string, RuleFacts>

export type Kind = keyof typeof RULES

export interface Asking {
  process?: string
  answer?: Answer
  /** Of an unknown wish: whether it was carried out after all. */
  isCarriedOut?: boolean
  code?: string
  within?: number
}

export class Story {
  now = BEGIN
  readonly wishes: Wish[] = []
  readonly changes: Change[] = []
  readonly effects: Run['effects'] = []
  readonly deliveries: Run['deliveries'] = []
  readonly told: Run['told'] = []
  readonly recorded: Run['recorded'][number][] = []
  readonly brakes: BrakeChange[] = []
  private readonly rows = new Map<string, Row>()
  private transactions = 700

  wait(ms: number): this {
    this.now += ms
    return this
  }

  row(kind: Kind, id: string): Row | undefined {
    return this.rows.get(`${RULES[kind].table} ${id}`)
  }

  /** The shop creates an order to which the rule applies, by a model or by raw SQL. */
  create(kind: Kind, id: string, columns: Row = {}, asking: Asking = {}): Wish {
    const rule: RuleFacts = RULES[kind]
    const entered: Row = rule.from ? { [STATUS]: Number(rule.from[0]) } : { ...rule.where }
    return this.write(kind, id, 'create', { id: Number(id), createdAt: this.now, ...entered, ...columns }, asking)
  }

  /** The shop writes columns; a column that is undefined becomes NULL. */
  set(kind: Kind, id: string, columns: Record<string, Row[string] | undefined>, asking: Asking = {}): Wish {
    return this.write(kind, id, 'write', columns, asking)
  }

  call(kind: Kind, id: string, call: Call, asked: Record<string, number> = {}, asking: Asking = {}): Wish {
    const rule: RuleFacts = RULES[kind]
    const row = this.row(kind, id)
    const outcome = row && asking.answer !== 'refused' ? outcomeOf(rule, row, call, asked, this.now + 2) : undefined
    const wish = this.wish(kind, id, call, asked, asking)
    const isDone = wish.answer === 'ok' || (wish.answer === 'unknown' && asking.isCarriedOut)
    const written = outcome && row && withoutNull({ ...row, ...outcome })
    // The ledger has no line where nothing changes.
    if (isDone && written && changedColumns(row, written).length > 0) this.change(kind, id, written, wish.process)
    const after = this.row(kind, id)
    if (wish.answer === 'ok') {
      const deadline = rule.deadline === 'redis' ? this.now + Number(asked.after ?? rule.afterMs) : (deadlineOf(rule, after) ?? null)
      wish.got = { deadline: deadline === null ? null : wholeMs(deadline), armed: true }
    }
    this.now += 3
    return wish
  }

  /** The shop asks for the time that remains, or for all timers of the order's, and is told what the row has. */
  read(kind: Kind, id: string, call: 'remaining' | 'list', asking: Asking = {}): Wish {
    const wish = this.wish(kind, id, call, {}, asking)
    const row = this.row(kind, id)
    const table = RULES[kind].table
    const timers = Object.values<RuleFacts>(RULES).flatMap((rule): ListedTimer[] => {
      const isRunning = rule.table === table && isPending(rule, row) && !isHeld(rule, row) && keptOf(rule, row) === undefined
      const deadline = isRunning ? deadlineOf(rule, row) : undefined
      return deadline === undefined ? [] : [{ kind: rule.kind, deadline: wholeMs(deadline), remaining: Math.max(0, deadline - this.now) }]
    })
    if (wish.answer === 'ok' && call === 'list') wish.got = { list: timers }
    if (wish.answer === 'ok' && call === 'remaining')
      wish.got = { remaining: timers.find((timer) => timer.kind === kind)?.remaining ?? null }
    this.now += 3
    return wish
  }

  /** A worker says that it would settle the order. */
  sayDue(kind: 'trial', id: string, by = 'worker 1', pid = 1): void {
    const deadline = deadlineOf(RULES[kind], this.row(kind, id)) as number
    this.now = Math.max(this.now + 1, deadline + 1)
    this.told.push({ event: 'dryRun', by, at: this.now, kind, details: { pid, orders: [{ id, deadline }] } })
  }

  /** The shop deletes the row. */
  remove(kind: Kind, id: string, asking: Asking = {}): Wish {
    const wish = this.wish(kind, id, 'remove', {}, asking)
    if (wish.answer === 'ok') this.change(kind, id, null, wish.process)
    this.now += 3
    return wish
  }

  /** A worker settles what is due, with all that the rule has. It waits for the deadline first. */
  settle(kind: Kind, id: string, by = 'worker 1'): Change {
    const rule: RuleFacts = RULES[kind]
    const row = this.row(kind, id) as Row
    const deadline = deadlineOf(rule, row)
    this.now = Math.max(this.now + 1, (deadline ?? 0) + 1)
    const change = this.change(kind, id, settledRow(rule, row, this.now), by)
    if (rule.brake) this.count(kind, change)
    if (rule.run) this.effects.push({ kind, id, txid: change.txid, at: this.now, by })
    if (rule.history) {
      this.recorded.push({
        kind,
        id,
        reminder: '',
        fromStatus: String(row[STATUS]),
        toStatus: rule.to ?? null,
        deadline: deadline ?? null,
        settledAt: this.now,
        nextTry: null,
        attempts: 1,
      })
    }
    if (rule.afterCommit) {
      this.deliveries.push({ what: 'afterCommit', kind, id, key: `${kind}:${id}:${deadline}`, by, at: this.now + 1, outcome: 'done' })
    }
    this.told.push({ event: 'settled', by, at: this.now + 1, kind, details: { ids: [id] } })
    return change
  }

  /** The row of the rule's brake, as it is from then on. */
  brake(kind: Kind, to: BrakeRow, by: string, txid = String(++this.transactions)): BrakeChange {
    const from = this.brakes.filter((change) => change.kind === kind).at(-1)?.to ?? null
    const change = { n: this.brakes.length + 1, kind, txid, at: this.now, trueAt: this.now, by, from, to }
    this.brakes.push(change)
    return change
  }

  private count(kind: Kind, { txid, by }: Change): void {
    const { brake }: RuleFacts = RULES[kind]
    const row = this.brakes.filter((change) => change.kind === kind).at(-1)?.to
    const isOver = row === undefined || this.now >= row.since + (brake?.perMs ?? 0)
    const window = isOver ? { since: this.now, settled: 0, braked: row?.braked ?? false } : row
    if (isOver) this.brake(kind, window, by, txid)
    this.brake(kind, { ...window, settled: window.settled + 1 }, by, txid)
  }

  /** A worker reminds of the deadline. It waits until then. */
  remind(kind: 'confirm', id: string, by = 'worker 1'): void {
    const rule = RULES[kind]
    const deadline = deadlineOf(rule, this.row(kind, id)) as number
    const { before, beforeMs } = rule.reminders[0]
    this.now = Math.max(this.now + 1, deadline - beforeMs + 1)
    const { now } = this
    this.recorded.push({
      kind,
      id,
      reminder: before,
      fromStatus: null,
      toStatus: null,
      deadline,
      settledAt: now,
      nextTry: null,
      attempts: 0,
    })
    const key = `${kind}.reminder-${before}:${id}:${deadline - beforeMs}`
    this.deliveries.push({ what: 'reminder', kind, id, key, by, at: now + 1, outcome: 'done', deadline })
  }

  /** A worker's sweep gives the order a deadline that it lacks, pauses it or resumes it. */
  sweep(kind: 'dispute', id: string, by = 'worker 2'): void {
    const rule: RuleFacts = RULES[kind]
    const row = this.row(kind, id) as Row
    const column = deadlineColumn(rule) as string
    const [deadline, kept] = [deadlineOf(rule, row), keptOf(rule, row)]
    this.now += 5
    if (isHeld(rule, row) && deadline !== undefined) {
      this.change(kind, id, { ...without(row, column), leftMs: Math.max(0, deadline - this.now) }, by)
    } else if (!isHeld(rule, row) && kept !== undefined) {
      this.change(kind, id, { ...without(row, 'leftMs'), [column]: this.now + kept }, by)
    } else if (!isHeld(rule, row) && deadline === undefined) {
      this.change(kind, id, { ...row, [column]: this.now + rule.afterMs }, by)
    }
  }

  /** A worker calls the function of a rule that is one. */
  handle(id: string, by = 'worker 1'): void {
    this.deliveries.push({ what: 'handler', kind: 'handle', id, key: null, by, at: this.now, outcome: 'done' })
  }

  /** Whether a worker could settle it once its deadline is there. */
  isPending(kind: Kind, id: string): boolean {
    const rule: RuleFacts = RULES[kind]
    const row = this.row(kind, id)
    return rule.deadline === 'redis' ? applies(rule, row) : isPending(rule, row) && !isHeld(rule, row)
  }

  end(): Run {
    const rows = [...this.rows].map(([name, row]) => ({ table: name.split(' ')[0] as string, id: name.split(' ')[1] as string, row }))
    return {
      rules: Object.values(RULES),
      wishes: this.wishes,
      changes: this.changes,
      effects: this.effects,
      deliveries: this.deliveries,
      told: this.told,
      rows,
      recorded: this.recorded,
      braked: {},
      brakes: this.brakes,
      losses: [],
      clockMoves: [],
      healedAt: this.now,
      endedAt: this.now,
      sweepMs: SWEEP_MS,
      slowdown: 1,
    }
  }

  /** One line of the ledger, and the row as it is from then on. */
  change(kind: Kind, id: string, written: Row | null, by: string, { wish, txid }: { wish?: number; txid?: string } = {}): Change {
    const to = written && withoutNull(written)
    const table = RULES[kind].table as string
    const before = this.row(kind, id)
    const from = before ? { ...before } : null
    const change: Change = {
      n: this.changes.length + 1,
      table,
      id,
      op: from === null ? 'insert' : to === null ? 'delete' : 'update',
      txid: txid ?? String(++this.transactions),
      at: this.now,
      trueAt: this.now,
      by,
      from,
      to,
      ...(wish !== undefined && { wish }),
    }
    this.changes.push(change)
    if (to) this.rows.set(`${table} ${id}`, to)
    else this.rows.delete(`${table} ${id}`)
    return change
  }

  private write(kind: Kind, id: string, call: Call, columns: Record<string, Row[string] | undefined>, asking: Asking): Wish {
    const row = this.row(kind, id)
    const asked: Record<string, unknown> = { ...columns, ...(columns[STATUS] !== undefined && { to: columns[STATUS] }) }
    const wish = this.wish(kind, id, call, asked, asking)
    if (wish.answer === 'ok' || (wish.answer === 'unknown' && asking.isCarriedOut)) {
      const written = withoutNull({ ...row, ...columns, wish: wish.n })
      this.change(kind, id, startedBy(kind, row, written, this.now), wish.process, { wish: wish.n })
    }
    this.now += 3
    return wish
  }

  private wish(kind: Kind, id: string, call: Call, asked: Record<string, unknown>, asking: Asking): Wish {
    const { process = 'shop 1', answer = 'ok', code, within } = asking
    this.now += 2
    const wish: Wish = {
      n: this.wishes.length + 1,
      process,
      feature: RULES[kind].features[0],
      kind,
      table: RULES[kind].table,
      id,
      call,
      asked,
      invokedAt: this.now - 2,
      completedAt: this.now + 2,
      answer,
      ...(code !== undefined && { got: { code: `ERR_ORDER_TIMERS_${code}` } }),
      ...(within !== undefined && { within }),
    }
    this.wishes.push(wish)
    return wish
  }
}

/** What a call writes; undefined where it writes nothing. NULL is left out by the caller. */
function outcomeOf(rule: RuleFacts, row: Row, call: Call, asked: Record<string, number>, now: number): Row | undefined {
  const column = deadlineColumn(rule)
  if (column === undefined || !applies(rule, row)) return undefined
  const [deadline, kept] = [deadlineOf(rule, row), keptOf(rule, row)]
  const empty = { [column]: undefined, ...(rule.pause && { [rule.pause.keep]: undefined }) } as unknown as Row
  const notExtended = (rule.extensions ? { [rule.extensions.column]: undefined } : {}) as unknown as Row
  if (call === 'schedule') return { ...empty, ...notExtended, [column]: asked.at ?? now + Number(asked.after ?? rule.afterMs) }
  if (call === 'cancel') return empty
  if (call === 'extend' && deadline !== undefined) {
    const extended = Number((rule.extensions && row[rule.extensions.column]) ?? 0) + 1
    return { [column]: deadline + Number(asked.by), ...(rule.extensions && { [rule.extensions.column]: extended }) }
  }
  if (call === 'pause' && deadline !== undefined && rule.pause) return { ...empty, [rule.pause.keep]: Math.max(0, deadline - now) }
  if (call === 'resume' && kept !== undefined) return { ...empty, [column]: now + kept }
  return undefined
}

function settledRow(rule: RuleFacts, row: Row, now: number): Row {
  const column = deadlineColumn(rule)
  const settled: Row = { ...(column === undefined ? row : without(row, column)), ...rule.set }
  if (rule.to === undefined) return { ...settled, deletedAt: now }
  const moved = { ...settled, [STATUS]: Number(rule.to) }
  const next = Object.values<RuleFacts>(RULES).find(({ kind }) => kind === rule.next)
  const started = next && deadlineColumn(next)
  if (!next || started === undefined) return moved
  if (next.pause && isHeld(next, moved)) return { ...moved, [next.pause.keep]: next.afterMs }
  return { ...moved, [started]: now + next.afterMs }
}

/** What `auto` and the trigger make of a write. */
function startedBy(kind: Kind, before: Row | undefined, written: Row, now: number): Row {
  let row = written
  for (const rule of Object.values<RuleFacts>(RULES)) {
    const column = deadlineColumn(rule)
    if (!rule.starts || column === undefined || rule.table !== RULES[kind].table) continue
    const [was, is] = [applies(rule, before), applies(rule, row)]
    if (is && !was && row[column] === undefined) row = { ...row, [column]: now + rule.afterMs }
    if (was !== is && rule.pause) row = without(row, rule.pause.keep)
    if (was && !is) row = without(row, column)
  }
  return row
}

function without(row: Row, column: string): Row {
  return withoutNull({ ...row, [column]: undefined })
}

export function withoutNull(row: Record<string, Row[string] | undefined>): Row {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as Row
}
