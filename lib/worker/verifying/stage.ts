// The stage before settling, for rules with `verify`: finds the orders that would be settled, asks about them, and stores when the others are asked about
// again. While it asks it holds no connection, no transaction and no lane, only the claim. What it lets through is settled normally.

import { setMaxListeners } from 'node:events'
import { errorText } from '../../error-text.js'
import type { Disposition } from '../../redis/leases.js'
import type { SharedPace } from '../../redis/shared-pace.js'
import { cappedText } from '../../rows/cap.js'
import { idempotencyKey } from '../../rows/history.js'
import type { SweptRows, Verification } from '../../rows/row-rule.js'
import type { Proof } from '../../rows/settlement.js'
import type { AskableOrder, NotedAnswer } from '../../rows/unverified-orders.js'
import type { BoundRule, OrderRule } from '../../rules/rule.js'
import type { Reporter } from '../reporter.js'
import type { Work } from '../settling/work.js'
import { Admission } from './admission.js'
import { type Answered, ask, retryAfterMs } from './asking.js'
import { Proven } from './proven.js'
import { LONGEST_WAIT_MS, Rates } from './rates.js'

const AGAIN = { firstMs: 30_000, longestMs: 15 * 60_000, leastMs: 1_000 }

/** If reading and asking took no longer than this, they count as one moment. */
const MOMENT_MS = 250

export type VerifiedRule = OrderRule & { readonly row: SweptRows & { readonly verification: Verification } }

export function isVerified(rule: BoundRule): rule is VerifiedRule {
  return rule.row?.verification !== undefined
}

/** The orders that may be settled now, and the dispositions of the rest. */
export interface Verified {
  /** Orders for settling: those with a proof, and those that needed no question, so that their rows show the reason. */
  ids: string[]
  proofs: Map<string, Proof>
  dispositions: Disposition[]
}

interface OfKind {
  admission: Admission
  proven: Proven
}

export interface StageDependencies {
  rules: Iterable<BoundRule>
  reporter: Reporter
  /** Undefined with `redis: false`. */
  pace: SharedPace | undefined
  /** Aborted when the worker stops: later answers are discarded. */
  leaving: AbortSignal
}

export class VerifyingStage {
  private readonly kinds = new Map<string, OfKind>()
  private readonly rates: Rates
  private onLater: (rule: VerifiedRule, milliseconds: number) => void = () => {}

  constructor(private readonly dependencies: StageDependencies) {
    this.rates = new Rates(dependencies.pace)
    for (const rule of dependencies.rules) {
      if (!isVerified(rule)) continue
      const { batch, concurrency, perSecond } = rule.row.verification
      const withinLease = Math.floor((perSecond * LONGEST_WAIT_MS) / 1000 / concurrency)
      this.kinds.set(rule.kind, { admission: new Admission(concurrency, Math.max(1, Math.min(batch, withinLease))), proven: new Proven() })
      setMaxListeners(0, dependencies.leaving)
    }
  }

  admission({ kind }: VerifiedRule): Admission {
    return this.of(kind).admission
  }

  /** Calls the listener with the time until orders of a rule are asked about again. */
  onAskedLater(listener: (rule: VerifiedRule, milliseconds: number) => void): void {
    this.onLater = listener
  }

  /** Asks about what was claimed. Never rejects. */
  async verify(work: Work, rule: VerifiedRule): Promise<Verified> {
    const { admission } = this.of(rule.kind)
    if (!(await admission.enter(this.dependencies.leaving))) return this.none(work.ids, 0)
    try {
      return await this.examine(work, rule)
    } finally {
      admission.leave()
    }
  }

  private async examine(work: Work, rule: VerifiedRule): Promise<Verified> {
    const { reporter, leaving } = this.dependencies
    if (!work.lease.held && !(await work.lease.renew())) {
      reporter.leaseExpired(rule.kind, work.ids.length)
      return { ids: [], proofs: new Map(), dispositions: work.ids.map((id) => ({ id, lapsed: true })) }
    }
    let looked = await this.look(rule, work.ids)
    if (looked && looked.toAsk.length > 0) {
      const { perSecond } = rule.row.verification
      const room = await this.rates.wait(rule.kind, looked.toAsk.length, perSecond, leaving)
      if ('comeBackMs' in room) return this.none(work.ids, room.comeBackMs)
      if (room.waitedMs > MOMENT_MS) looked = keepAsked(looked, await this.look(rule, work.ids))
    }
    // If the rows cannot be read they cannot be settled either: settling reports the reason.
    if (!looked) return { ids: work.ids, proofs: new Map(), dispositions: [] }
    if (leaving.aborted) return this.none(work.ids, 0)
    const { proofs, dispositions, toAsk, rest } = looked
    if (toAsk.length > 0) await this.ask(rule, toAsk, proofs, dispositions)
    return { ids: [...proofs.keys(), ...rest], proofs, dispositions }
  }

  /** @returns undefined if Postgres did not answer */
  private async look(rule: VerifiedRule, ids: readonly string[]): Promise<Looked | undefined> {
    const { guard, verification, brake } = rule.row
    const { proven } = this.of(rule.kind)
    let found: AskableOrder[]
    let remaining = Number.POSITIVE_INFINITY
    try {
      found = await verification.unverified.lookUnlessHeld(guard, ids)
      if (brake && found.length > 0) remaining = await brake.remaining()
    } catch {
      return undefined
    }
    const looked: Looked = { proofs: new Map(), dispositions: [], toAsk: [], rest: [] }
    const known = new Set(found.map(({ id }) => id))
    looked.rest.push(...ids.filter((id) => !known.has(id)))
    for (const order of found) {
      const { id, xmin, waitMs, waived } = order
      const proof = waived ? { xmin, ...waived } : proven.of(id, xmin)
      if (proof) looked.proofs.set(id, proof)
      else if (waitMs > 0) this.askLater(rule, id, waitMs, looked.dispositions)
      else if (looked.toAsk.length < remaining) looked.toAsk.push(order)
      else if (remaining === 0) looked.rest.push(id)
      else looked.dispositions.push({ id, delayMs: 0 })
    }
    return looked
  }

  private async ask(rule: VerifiedRule, orders: AskableOrder[], proofs: Map<string, Proof>, dispositions: Disposition[]): Promise<void> {
    const { kind } = rule
    const { leaving, reporter } = this.dependencies
    const { proven, admission } = this.of(kind)
    const question = {
      kind,
      orders: orders.map(({ order }) => order),
      idempotencyKeys: orders.map(({ id, deadlineMs }) => idempotencyKey(kind, id, deadlineMs ?? '')),
    }
    let answers: Answered[]
    try {
      answers = await ask(rule.row.verification, question, leaving)
      const errors = answers.flatMap((one) => ('error' in one ? [one.error] : []))
      if (errors.length === orders.length && (orders.length > 1 || admission.failingSince)) throw errors[0]
    } catch (error) {
      if (leaving.aborted) for (const { id } of orders) dispositions.push({ id, delayMs: 0 })
      else await this.failed(rule, orders, error, dispositions)
      return
    }
    if (admission.succeeded(orders.length)) reporter.faults.clear('VERIFY_FAILED', kind)
    const others: NotedAnswer[] = []
    for (const [i, order] of orders.entries()) {
      const { id, xmin } = order
      const answered = answers[i] as Answered
      if ('error' in answered || answered.answer !== true) others.push(noted(order, answered))
      else {
        const proof = { xmin, at: new Date().toISOString(), answer: true as const, reference: answered.reference }
        proofs.set(id, proof)
        proven.add(id, proof)
      }
    }
    await this.note(rule, others, dispositions)
  }

  private async failed(rule: VerifiedRule, orders: AskableOrder[], error: unknown, dispositions: Disposition[]): Promise<void> {
    const { kind, row } = rule
    const { admission } = this.of(kind)
    const pauseMs = admission.failed(retryAfterMs(error))
    await this.note(
      rule,
      orders.map(({ id, xmin, voidWord }) => ({ id, xmin, voidWord, waitMs: pauseMs, error: errorText(error) })),
      dispositions,
    )
    const waiting = await row.verification.unverified.summary().catch(() => undefined)
    const many = waiting ? `${cappedText(waiting.count)} orders wait for an answer` : 'orders wait for an answer'
    const message = `${kind}: "verify.ask" has failed since ${admission.failingSince?.toISOString()}; ${many}, and none is settled without one`
    const remedy = `look at the cause; it is asked again automatically, in ${Math.ceil(pauseMs / 1_000)} s`
    this.dependencies.reporter.faults.raise('VERIFY_FAILED', { kind, message, remedy, error })
  }

  /** In Postgres; if it cannot be written, the end of the claim keeps the time. */
  private async note(rule: VerifiedRule, answers: NotedAnswer[], dispositions: Disposition[]): Promise<void> {
    if (answers.length === 0) return
    const { log } = this.dependencies.reporter
    const { unverified } = rule.row.verification
    try {
      await unverified.note(answers).catch(() => unverified.note(answers))
    } catch (error) {
      log('debug', `${rule.kind}: answers could not be kept (${errorText(error)})`, { kind: rule.kind })
      for (const { id, waitMs } of answers) dispositions.push({ id, delayMs: waitMs })
      return
    }
    for (const { id, waitMs, answer, error } of answers) {
      this.askLater(rule, id, waitMs, dispositions)
      const fields = { kind: rule.kind, id }
      log('debug', () => `${rule.kind} ${id}: not settled, asked again in ${Math.ceil(waitMs / 1000)} s (${error ?? answer})`, fields)
    }
  }

  /** Left to the reader of orders that are asked about again. */
  private askLater(rule: VerifiedRule, id: string, waitMs: number, dispositions: Disposition[]): void {
    dispositions.push({ id })
    this.onLater(rule, waitMs)
  }

  private none(ids: readonly string[], delayMs: number): Verified {
    return { ids: [], proofs: new Map(), dispositions: ids.map((id) => ({ id, delayMs })) }
  }

  private of(kind: string): OfKind {
    const found = this.kinds.get(kind)
    if (!found) throw new TypeError(`no rule "${kind}" is verified here`)
    return found
  }
}

interface Looked extends Omit<Verified, 'ids'> {
  toAsk: AskableOrder[]
  /** These orders need no question. */
  rest: string[]
}

/** The second reading asks only about as many orders as the first left room for. */
function keepAsked(first: Looked, second: Looked | undefined): Looked | undefined {
  if (!second) return undefined
  const asked = new Set(first.toAsk.map(({ id }) => id))
  const fresh = second.toAsk.filter(({ id }) => !asked.has(id))
  second.dispositions.push(...fresh.map(({ id }) => ({ id, delayMs: 0 })))
  return { ...second, toAsk: second.toAsk.filter(({ id }) => asked.has(id)) }
}

function noted({ id, xmin, voidWord, times, falses }: AskableOrder, answered: Exclude<Answered, { answer: true }>): NotedAnswer {
  if ('error' in answered) {
    const { error } = answered
    return { id, xmin, voidWord, waitMs: Math.max(AGAIN.leastMs, retryAfterMs(error) || againMs(times)), error: errorText(error) }
  }
  const { answer, waitMs, reference } = answered
  return { id, xmin, voidWord, waitMs: waitMs ?? againMs(falses), answer: String(answer), reference }
}

function againMs(times: number): number {
  return Math.min(AGAIN.longestMs, AGAIN.firstMs * 2 ** Math.min(times, 20))
}
