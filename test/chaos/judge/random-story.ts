// Random runs in which nothing goes wrong: shops call and write in any order, some answers are lost, workers settle what is due and sweep.

import fc from 'fast-check'
import type { Answer } from '../../../chaos/history.js'
import { deadlineOf, isHeld, isPending, keptOf } from '../../../chaos/judge/rule-facts.js'
import { type Asking, type Kind, RULES, Story } from './story.js'

const ORDERS: readonly (readonly [Kind, string])[] = [
  ['pay', '1'],
  ['confirm', '2'],
  ['confirm', '3'],
  ['pack', '4'],
  ['dispute', '5'],
  ['cart', '6'],
]

const IN_FROM: Record<string, number> = { pay: 1, confirm: 4, pack: 10, dispute: 1 }

export interface Step {
  order: number
  act:
    | 'look'
    | 'create'
    | 'leave'
    | 'enter'
    | 'schedule'
    | 'scheduleAsItIs'
    | 'extend'
    | 'cancel'
    | 'pause'
    | 'resume'
    | 'dispute'
    | 'settle'
    | 'remind'
    | 'sweep'
  ms: number
  process: number
  answer: Answer
  isCarriedOut: boolean
}

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    order: fc.nat(ORDERS.length - 1),
    act: fc.constantFrom<Step['act']>(
      ...([
        'look',
        'create',
        'leave',
        'enter',
        'schedule',
        'scheduleAsItIs',
        'extend',
        'cancel',
        'pause',
        'resume',
        'dispute',
        'settle',
        'remind',
        'sweep',
      ] as const),
    ),
    ms: fc.integer({ min: 1, max: 1_500 }),
    process: fc.integer({ min: 1, max: 3 }),
    answer: fc.constantFrom<Answer>('ok', 'ok', 'ok', 'unknown', 'refused'),
    isCarriedOut: fc.boolean(),
  }),
  { minLength: 5, maxLength: 60 },
)

/** What is not possible at a step is left out. */
export function play(all: readonly Step[]): Story {
  const story = new Story()
  for (const [kind, id] of ORDERS) story.create(kind, id)
  for (const id of ['2', '3']) story.call('confirm', id, 'schedule', { after: 20_000 })
  for (const step of all) {
    story.wait(step.ms)
    playOne(story, step)
  }
  return story
}

function playOne(story: Story, { order, act, ms, process, answer, isCarriedOut }: Step): void {
  const [kind, id] = ORDERS[order] as (typeof ORDERS)[number]
  const rule = RULES[kind]
  const row = story.row(kind, id)
  // A refused call is one that found nothing to change; the reason is a lock, which no row shows.
  const asking: Asking = { process: `shop ${process}`, answer, isCarriedOut, ...(answer === 'refused' && { code: 'ROW_LOCKED' }) }
  if (!row) return
  // The call reads the clock two milliseconds later.
  const left = (deadlineOf(rule, row) ?? 0) - story.now - 2
  const canCall = kind === 'confirm' && Number(row.status) === 4
  if (act === 'look') story.read(kind, id, isCarriedOut ? 'remaining' : 'list', asking)
  else if (act === 'leave' && kind !== 'cart') story.set(kind, id, { status: 99, ...(kind === 'confirm' && WITHOUT_TIMER) }, asking)
  else if (act === 'enter' && kind !== 'cart') story.set(kind, id, { status: IN_FROM[kind] as number }, asking)
  else if (act === 'dispute' && kind === 'dispute') story.set(kind, id, { disputeOpen: ms > 700 }, asking)
  else if (act === 'schedule' && canCall) story.call(kind, id, act, { after: ms }, asking)
  else if (act === 'scheduleAsItIs' && canCall && left > 0) story.call(kind, id, 'schedule', { after: left }, asking)
  else if (act === 'extend' && canCall && Number(row.confirmExtended ?? 0) < 2 && deadlineOf(rule, row) !== undefined) {
    story.call(kind, id, act, { by: ms }, asking)
  } else if (act === 'cancel' && canCall) story.call(kind, id, act, {}, asking)
  else if (act === 'pause' && canCall && deadlineOf(rule, row) !== undefined) story.call(kind, id, act, {}, asking)
  else if (act === 'resume' && canCall && keptOf(rule, row) !== undefined) story.call(kind, id, act, {}, asking)
  else if (act === 'sweep' && kind === 'dispute' && Number(row.status) === 1) story.sweep(kind, id)
  else if (act === 'settle') settle(story, kind, id)
  else if (act === 'remind' && kind === 'confirm') remind(story, id)
}

const WITHOUT_TIMER = { confirmDueAt: undefined, confirmLeftMs: undefined }

/** Time must not pass over the deadline of another order for long. */
function settle(story: Story, kind: Kind, id: string): void {
  const followers: Kind[] = kind === 'pack' ? ['pack', 'send'] : [kind]
  const due = followers.find((each) => isPending(RULES[each], story.row(each, id)) && !isHeld(RULES[each], story.row(each, id)))
  if (due && keptOf(RULES[due], story.row(due, id)) === undefined) story.settle(due, id)
}

function remind(story: Story, id: string): void {
  const row = story.row('confirm', id)
  const deadline = isPending(RULES.confirm, row) ? deadlineOf(RULES.confirm, row) : undefined
  const isReminded = story.recorded.some((each) => each.reminder !== '' && each.id === id && each.deadline === deadline)
  if (deadline !== undefined && deadline > story.now && !isReminded) story.remind('confirm', id)
}
