// The output of `order-timers show` for people.

import { ageText } from '../admin/age-text.js'
import type { FailedReminder } from '../admin/order-under-rule.js'
import type { OrderView } from '../admin/order-view.js'
import { VIA_RUN } from '../rows/history.js'
import type { HistoryEntry } from '../rows/history-reads.js'
import type { LockHolder } from '../rows/lock-holders.js'
import { oneLine } from './one-line.js'
import { table } from './table.js'

type UnderRule = OrderView['rules'][number]

export function orderText({ id, rules, actions = [] }: OrderView): string {
  const acted = actions.map(({ at, action, kind, actor, state, reason }) => [
    ...[new Date(at).toISOString(), action, kind, actor, state, reason ?? ''],
  ])
  return [
    `order ${oneLine(id)}`,
    ...rules.flatMap((rule) => ['', ...ruleText(rule)]),
    ...(acted.length === 0 ? [] : ['', 'what operators did', ...indented(table(['at', 'action', 'rule', 'by', 'state', 'reason'], acted))]),
  ].join('\n')
}

function ruleText(rule: UnderRule): string[] {
  const { kind, state, next, command, problem, history } = rule
  const facts: [string, string][] = [
    ['next', next],
    ...(command === undefined ? [] : [['try', command] as [string, string]]),
    ['state', state === 'none' ? 'the rule does not apply' : state],
    ...rowFacts(rule),
    ...redisFacts(rule),
    ...rule.reminders.map(({ kind: of, failure }) => ['reminder', reminderText(of, failure)] as [string, string]),
    ...(problem === undefined ? [] : [['problem', problem] as [string, string]]),
  ]
  const past = history && (history.length === 0 ? ['history  none'] : ['history', ...indented(historyTable(history))])
  return [kind, ...indented([...facts.map(([what, value]) => `${what.padEnd(8)} ${oneLine(value)}`), ...(past ?? [])])]
}

function rowFacts({ row, lock, brakedSince, hold }: UnderRule): [string, string][] {
  if (!row) return []
  const { status, deadline, remainingMs, paused, extended } = row
  const facts: [string, string][] = []
  if (status !== null && status !== undefined) facts.push(['status', String(status)])
  const due = remainingMs === null || remainingMs > 0 ? '' : deadline === null ? '' : `, ${ageText(Date.now() - deadline)} ago`
  facts.push(['deadline', paused ? 'paused' : deadline === null ? 'none' : `${new Date(deadline).toISOString()}${due}`])
  if (extended > 0) facts.push(['extended', String(extended)])
  if (lock) facts.push(['locked', lockText(lock)])
  if (brakedSince) facts.push(['brake', `stopped since ${brakedSince.toISOString()}`])
  if (hold) facts.push(['held', `since ${hold.since.toISOString()} by ${hold.by}: ${hold.reason}`])
  return facts
}

function lockText({ pid, prepared, application, user, openForS, statement }: LockHolder): string {
  const who = [
    pid === null ? `the prepared transaction "${prepared}"` : `pid ${pid}`,
    application && `application "${application}"`,
    user && `user ${user}`,
  ]
  const time = openForS === null ? '' : `, in a transaction open for ${ageText(openForS * 1_000)}`
  return `by ${who.filter(Boolean).join(', ')}${time}${statement === null ? '' : ` (${statement})`}`
}

function redisFacts({ redis, attempts }: UnderRule): [string, string][] {
  if (!redis) return []
  const { armed, keyMs, claimedBy, failure } = redis
  const key = keyMs >= 0 ? `its key expires in ${ageText(keyMs)}` : keyMs === -1 ? 'its key does not expire' : 'no key'
  const facts: [string, string][] = [['redis', `${armed ? `armed for ${armed.toISOString()}` : 'not armed'}; ${key}`]]
  if (claimedBy !== undefined) facts.push(['claimed', `by ${claimedBy}`])
  if (failure) {
    facts.push(['attempts', `${failure.attempts}${failure.dead ? '' : ` of ${attempts}`} failed, the last at ${failure.at}`])
    facts.push(['error', failure.error])
  }
  return facts
}

function reminderText(kind: string, { attempts, dead, at, error }: FailedReminder['failure']): string {
  const end = dead ? 'is a dead letter' : 'is tried again by itself'
  return `${kind} failed ${attempts} times, the last at ${at}, and ${end}: ${error}`
}

export function historyTable(entries: readonly HistoryEntry[]): string[] {
  const areVerified = entries.some(({ verified }) => verified !== undefined)
  const rows = entries.map(({ settledAt, id, reminder, from, to, latenessMs, via, worker, attempts, error, nextTry, verified }) => {
    const what = whatText({ reminder, from, to, via })
    const after = nextTry || error ? `${attempts} attempts${error ? `: ${error}` : ''}` : ''
    const late = latenessMs === null ? undefined : ageText(latenessMs)
    return [settledAt.toISOString(), id, what, late, via, worker, after, ...(areVerified ? [verifiedText(verified)] : [])]
  })
  return table(['at', 'order', 'what', 'late by', 'via', 'worker', 'afterCommit', ...(areVerified ? ['verified'] : [])], rows)
}

function whatText({ reminder, from, to, via }: Pick<HistoryEntry, 'reminder' | 'from' | 'to' | 'via'>): string {
  if (via === VIA_RUN) return `${reminder}: ${from ?? 'no timer'} → ${to ?? 'no timer'}`
  return reminder === '' ? `${from ?? '-'} → ${to ?? '-'}` : `reminded, ${reminder} before`
}

function verifiedText(verified: HistoryEntry['verified']): string {
  if (!verified) return ''
  const { at, answer, reference, by, reason } = verified
  if (!answer) return `unverified, by ${by}: ${reason}`
  return `true at ${at}${reference === undefined ? '' : `, ${reference}`}`
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
