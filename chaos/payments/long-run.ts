// Runs of the payments shop one after the other, whose results are added up: so many orders need hours, and a run that was broken off goes on.

import { ArgumentError } from '../arguments.js'
import { readResults, repeat } from '../long-run.js'
import { type PaymentsOptions, type PaymentsResult, runPayments } from './run.js'

export interface LongPaymentsOptions extends Omit<PaymentsOptions, 'say'> {
  minutes: number
  results?: string
  json: boolean
  say(text: string): void
}

const COUNTED = [
  'orders',
  'paid',
  'cancelled',
  'waiting',
  'gone',
  'raceRefunds',
  'unrefunded',
  'enquiries',
  'allowedEnquiries',
  'kills',
] as const

const IN_WORDS: Record<(typeof COUNTED)[number], string> = {
  orders: 'orders',
  paid: 'paid',
  cancelled: 'cancelled',
  waiting: 'paid at the service alone, and reported',
  gone: 'deleted at the service, and left alone',
  raceRefunds: 'payments of cancelled orders that were refunded',
  unrefunded: 'payments of cancelled orders that were not',
  enquiries: 'enquiries',
  allowedEnquiries: 'enquiries that are accounted for',
  kills: 'workers killed',
}

/** @returns the exit status @throws ArgumentError where the file's runs asked in another way */
export async function runPaymentsForMinutes({ json, say, ...options }: LongPaymentsOptions): Promise<number> {
  const { asking, seed } = options
  const results = options.results ?? `payments-${seed}.jsonl`
  if (readResults<PaymentsResult>(results).some((one) => one.asking !== asking))
    throw new ArgumentError(`--results: the runs in ${results} asked in another way; give another file, or --look-only as they had it`)
  const run = (one: number) => runPayments({ ...options, seed: one, say: () => {} })
  const tell = ({ orders, anomalies }: PaymentsResult) => ({ count: `${orders} orders`, anomalies })
  const done = await repeat({ ...options, results }, run, tell, say)
  const total = (figure: (one: PaymentsResult) => number) => done.reduce((sum, one) => sum + figure(one), 0)
  const counted = Object.fromEntries(COUNTED.map((name) => [name, total((one) => one[name] ?? 0)])) as Record<
    (typeof COUNTED)[number],
    number
  >
  const failedSeeds = done.filter(({ anomalies }) => anomalies.length > 0).map((one) => one.seed)
  const sum = { asking, runs: done.length, ...counted, anomalies: total(({ anomalies }) => anomalies.length), failedSeeds }
  say(`${done.length} runs, and what the judge found (${asking === 'close' ? 'sessions are closed' : 'only looked up'}):`)
  for (const name of COUNTED) say(`${counted[name].toLocaleString('en-US').padStart(12)}  ${IN_WORDS[name]}`)
  say(`${String(sum.anomalies).padStart(12)}  anomalies${failedSeeds.length > 0 ? `, with the seeds ${failedSeeds.join(', ')}` : ''}`)
  process.stdout.write(`${JSON.stringify(sum, null, json ? undefined : 2)}\n`)
  return sum.anomalies === 0 ? 0 : 1
}
