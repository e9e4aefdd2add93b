// Listens to a worker's events about one order: that it was settled, or why it will not be settled.

import type { SettledOrder } from '../rows/settlement.js'
import type { ReminderRule, ShopRule } from '../rules/rule.js'
import { errorText, type WorkerEvents } from '../worker/events.js'
import type { ExpiryWorker } from '../worker/worker.js'

type Listeners = { [E in keyof WorkerEvents]?: (...args: WorkerEvents[E]) => void }

export class Watch {
  settled: SettledOrder | undefined
  failure: { why: string; error?: unknown } | undefined
  /** Resolves on the first of the two. */
  readonly ended: Promise<void>
  private readonly listeners: Listeners
  private decide: () => void = () => {}

  constructor(
    private readonly worker: ExpiryWorker,
    { kind }: ShopRule,
    reminder: ReminderRule | undefined,
    private readonly id: string,
  ) {
    this.ended = new Promise((resolve) => {
      this.decide = resolve
    })
    const watched = reminder?.kind ?? kind
    this.listeners = {
      settled: (told) => told.kind === watched && this.note(told.orders),
      reminded: (told) => told.kind === kind && told.before === reminder?.reminder.label && this.note(told.orders),
      dryRun: (told) => told.kind === watched && this.includes(told.orders) && this.fail('"dryRun" is on, and it would have been'),
      failed: (told) => {
        if (told.kind !== watched || told.id !== id) return
        const next = told.retryInMs === null ? 'it is not tried again' : `it is tried again in ${told.retryInMs} ms`
        this.fail(`attempt ${told.attempts} failed (${errorText(told.error)}), and ${next}`, told.error)
      },
      dead: (told) => {
        if (told.kind !== watched || told.id !== id) return
        this.fail(`it is a dead letter after ${told.attempts} attempts (${errorText(told.error)})`, told.error)
      },
      stopped: () => this.fail('the worker was stopped'),
    }
    for (const [event, listener] of Object.entries(this.listeners)) worker.on(event as never, listener as never)
  }

  end(): void {
    for (const [event, listener] of Object.entries(this.listeners)) this.worker.off(event as never, listener as never)
  }

  private includes(orders: readonly SettledOrder[]): boolean {
    return orders.some((order) => order.id === this.id)
  }

  private note(orders: readonly SettledOrder[]): void {
    this.settled ??= orders.find((order) => order.id === this.id)
    if (this.settled) this.decide()
  }

  private fail(why: string, error?: unknown): void {
    this.failure ??= { why, error }
    this.decide()
  }
}
