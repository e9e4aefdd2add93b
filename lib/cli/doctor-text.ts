// The output of `order-timers doctor` for people: what is wrong first, with its remedies.

import type { Finding, Verdict } from '../admin/doctor/check.js'
import type { Diagnosis } from '../admin/doctor/doctor.js'
import { oneLine } from './one-line.js'

const ORDER: readonly Verdict[] = ['wrong', 'unseen', 'advice', 'fine']
const SIGNS: Record<Verdict, string> = { wrong: '✘', unseen: '?', advice: '!', fine: '✔' }

export function doctorText({ counts, findings }: Diagnosis): string {
  const sorted = ORDER.flatMap((verdict) => findings.filter((one) => one.verdict === verdict))
  const width = Math.max(...findings.map(({ name }) => name.length))
  return [summary(counts), '', ...sorted.flatMap((finding) => lines(finding, width))].join('\n')
}

function summary({ wrong, unseen, advice, fine }: Diagnosis['counts']): string {
  const many = (count: number, one: string, several: string) => (count === 0 ? [] : [`${count} ${count === 1 ? one : several}`])
  const parts = [
    ...many(wrong, 'thing is wrong', 'things are wrong'),
    ...many(unseen, 'could not be checked', 'could not be checked'),
    ...many(advice, 'could be better', 'could be better'),
    ...many(fine, 'is fine', 'are fine'),
  ]
  return `${wrong > 0 ? '✘' : unseen > 0 ? '?' : '✔'} ${parts.join(', ')}`
}

function lines({ name, kind, verdict, expected, found, remedies }: Finding, width: number): string[] {
  const about = kind === undefined ? '' : `${kind}: `
  const text = verdict === 'fine' ? found : verdict === 'unseen' ? `not checked: ${found}` : `${found} (expected: ${expected})`
  const places = Math.max(0, ...remedies.map((remedy) => remedy.in.length))
  return [
    `${SIGNS[verdict]} ${name.padEnd(width)}  ${oneLine(about + text)}`,
    ...remedies.map((remedy) => `    → ${remedy.in.padEnd(places)}  ${remedy.text.replaceAll('\n', `\n${' '.repeat(places + 8)}`)}`),
  ]
}
