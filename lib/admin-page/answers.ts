// The answers of the page, by screen, and its actions. Reads run one at a time, over one connection of the pool at most.

import { act } from '../admin/actions/act.js'
import type { Acted } from '../admin/actions/acted.js'
import { actionsState, listActions } from '../admin/actions/list.js'
import { type ActedRelease, releaseAct } from '../admin/actions/release.js'
import type { Actor } from '../admin/actions/request.js'
import { failingKinds } from '../admin/problem.js'
import { reminderKind } from '../rules/reminder.js'
import type { Runtime } from '../timers/runtime.js'
import { Refusal } from '../web/refusal.js'
import { type ActWish, UNVERIFIED } from './act-wish.js'
import { type ActedHold, holdFromPage, releaseFromPage } from './hold-acts.js'
import type { ParsedAdminOptions } from './options.js'
import { OrderReads } from './order-reads.js'
import { Remembered } from './remembered.js'
import { DueScreen } from './screens/due.js'
import { LateScreen } from './screens/late.js'
import { NowScreen } from './screens/now.js'
import { OrderScreen } from './screens/order.js'
import { readProcesses } from './screens/processes.js'
import { STUCK_STATES, StuckScreen, type StuckState } from './screens/stuck.js'
import { ShownOrders } from './shown-orders.js'
import { Turn } from './turn.js'

const ACTIONS_PAGE = 30

/** A request is answered after this time with what is known; updates of live pages wait until everything is. */
const SOON_MS = 200

/** Longer text is not an id. */
const LONGEST_ID = 600

export class Answers {
  private readonly turn = new Turn()
  private readonly reads: OrderReads
  private readonly now: NowScreen
  private readonly due: DueScreen
  private readonly late: LateScreen
  private readonly stuck: StuckScreen
  private readonly order: OrderScreen
  private readonly recorded = new Remembered<string>({ freshMs: 5_000, waitMs: 100, maxAgeMs: 60_000 })

  constructor(
    private readonly runtime: Runtime,
    { show }: ParsedAdminOptions,
  ) {
    const reads = new OrderReads(runtime, this.turn)
    this.reads = reads
    const shown = new ShownOrders(runtime, reads, show, runtime.log)
    this.now = new NowScreen(runtime, reads, this.turn)
    this.due = new DueScreen(runtime, reads, shown)
    this.late = new LateScreen(runtime)
    this.stuck = new StuckScreen(runtime, reads, shown)
    this.order = new OrderScreen(runtime, reads, shown)
  }

  /** The update for live pages. Never rejects. */
  async news(): Promise<string> {
    return JSON.stringify(await this.now.read().catch(() => null))
  }

  /** Whether actions can be recorded, and so are possible: `ready`, or what is missing. */
  recording(): Promise<string> {
    return this.recorded
      .soon('', () => this.turn.take(() => actionsState(this.runtime)), SOON_MS)
      .then(
        (found) => found?.value ?? 'unknown',
        () => 'unknown',
      )
  }

  /** The rule that an answer is limited to, whatever else the request names; undefined where it is about all. */
  ruleShown(name: string, query: URLSearchParams): string | undefined {
    const named = query.get('kind') || undefined
    if (name === 'data/stuck') return named === undefined ? this.runtime.kinds[0] : this.ownerOf(named)
    return name === 'data/due' || name === 'data/actions' ? named : undefined
  }

  /** The rule of a reminder; otherwise the kind itself. For `authorize`, which knows rules alone. */
  ownerOf(kind: string): string {
    const { kinds } = this.runtime
    return kinds.includes(kind) ? kind : (kinds.find((one) => kind.startsWith(reminderKind(one, ''))) ?? kind)
  }

  /** @throws Refusal, OrderTimersError */
  async data(screen: string, query: URLSearchParams): Promise<unknown> {
    const after = query.get('after') ?? undefined
    switch (screen) {
      case 'now':
        return this.now.read(SOON_MS)
      case 'due':
        return this.due.read({ kind: this.kind(query), hours: Number(query.get('hours') ?? 24), after })
      case 'late':
        return this.late.of(Number(query.get('minutes') ?? 60))
      case 'stuck':
        return this.stuck.read({
          kind: this.kind(query, failingKinds(this.runtime)) ?? (this.runtime.kinds[0] as string),
          state: stateIn(query),
          after,
        })
      case 'order':
        return this.order.read((query.get('id') ?? '').trim().slice(0, LONGEST_ID))
      case 'processes':
        return readProcesses(this.runtime, this.now, SOON_MS)
      case 'actions': {
        const filters = { kind: this.kind(query), order: query.get('order') ?? undefined, after, limit: ACTIONS_PAGE }
        return this.turn.take(() => listActions(this.runtime, filters))
      }
      default:
        throw new Refusal(404, 'NOTHING_HERE', 'there is no such screen')
    }
  }

  /** @throws OrderTimersError */
  async act(wish: ActWish, user: string): Promise<Acted | ActedRelease | ActedHold> {
    const actor = { user, via: 'page' as const, reason: wish.reason }
    try {
      return await this.turn.take<Acted | ActedRelease | ActedHold>(() => this.carryOut(wish, actor))
    } finally {
      this.reads.forget()
      this.now.forget()
    }
  }

  private carryOut(wish: ActWish, actor: Actor): Promise<Acted | ActedRelease | ActedHold> {
    const { runtime } = this
    const { action, kind, orders, by, stoppedSince, heldSince } = wish
    if (action === 'hold') return holdFromPage(runtime, wish, actor)
    if (action === UNVERIFIED) return act(runtime, { action: 'settle', kind, orders, unverified: true }, actor)
    if (action !== 'release') return act(runtime, { action, kind, orders, by }, actor)
    return heldSince === undefined ? releaseAct(runtime, kind, actor, { stoppedSince }) : releaseFromPage(runtime, wish, actor)
  }

  private kind(query: URLSearchParams, kinds = this.runtime.kinds): string | undefined {
    const kind = query.get('kind')
    if (kind === null || kind === '') return undefined
    if (kinds.includes(kind)) return kind
    throw new Refusal(404, 'UNKNOWN_KIND', 'there is no such rule')
  }
}

function stateIn(query: URLSearchParams): StuckState {
  const state = query.get('state') as StuckState
  return STUCK_STATES.includes(state) ? state : 'overdue'
}
