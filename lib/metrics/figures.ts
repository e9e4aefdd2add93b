// What has happened in this process, as metrics: counters and histograms over `lib/meters.ts`.

import { failingKinds } from '../admin/problem.js'
import type { Distribution, Distributions, Tally } from '../meters.js'
import type { Runtime } from '../timers/runtime.js'
import { PATHS } from '../worker/settling/lateness.js'
import { Metric, type Sample } from './metric.js'

const ARMED = ['armed', 'kept', 'dropped']

export function figures(runtime: Runtime): Metric[] {
  const { meters, kinds } = runtime
  const failing = () => failingKinds(runtime)
  const byPath = kinds.flatMap((kind) => PATHS.map((path) => `${kind} ${path}`))
  const byResult = kinds.flatMap((kind) => ARMED.map((result) => `${kind} ${result}`))
  const counter = (name: string, help: string, read: () => Sample[]) => new Metric({ name, help, type: 'counter', read })
  const histogram = (name: string, help: string, read: () => Sample[]) => new Metric({ name, help, type: 'histogram', read })
  return [
    counter('settled_total', 'Orders settled, by rule and by the path that brought them.', () =>
      counts(meters.settled, ['kind', 'path'], byPath),
    ),
    counter('failed_total', 'Attempts that failed, by rule or reminder.', () => counts(meters.failed, ['kind'], failing())),
    counter('dead_total', 'Orders that became dead letters, by rule or reminder.', () => counts(meters.dead, ['kind'], failing())),
    counter('armed_total', 'Timers handed to Redis: armed, kept until it returns, or dropped and left to the sweep.', () =>
      counts(meters.armed, ['kind', 'result'], byResult),
    ),
    counter('subscription_resets_total', 'How often the subscription to expiry events was lost or renewed.', () => [
      { labels: {}, value: meters.subscriptionResets },
    ]),
    counter('actions_total', 'What people did to orders from this process, by action.', () => counts(meters.actions, ['action'], [])),
    histogram(
      'lateness_seconds',
      'From the deadline to the commit, without retries, locked rows, deadlines in the past and backlogs.',
      () => distributions(meters.lateness, ['kind', 'path'], 1_000),
    ),
    histogram('settle_seconds', 'How long a batch took to be settled.', () => distributions(meters.settling, ['kind'], 1_000)),
    histogram('batch_orders', 'How many orders a batch had.', () => distributions(meters.batches, ['kind'], 1)),
    histogram('sweep_seconds', 'How long sweeps took.', () => buckets(meters.sweeps, {}, 1_000)),
  ]
}

/** @param preset labels that are shown although nothing was counted, so that a rate sees the first one */
function counts(tally: Tally, names: readonly string[], preset: readonly string[]): Sample[] {
  const all = new Map<string, number>([...preset.map((labels) => [labels, 0] as const), ...tally])
  return [...all].map(([labels, value]) => ({ labels: labelled(labels, names), value }))
}

/** @param unit how many of the values' unit are one of the metric's */
function distributions(all: Distributions, names: readonly string[], unit: number): Sample[] {
  return [...all].flatMap(([labels, one]) => buckets(one, labelled(labels, names), unit))
}

function buckets({ bounds, counts, sum }: Distribution, labels: Record<string, string>, unit: number): Sample[] {
  let count = 0
  const samples: Sample[] = [...bounds, Number.POSITIVE_INFINITY].map((bound, i) => {
    count += counts[i] as number
    const le = Number.isFinite(bound) ? bound / unit : '+Inf'
    return { labels: { ...labels, le }, value: count, suffix: '_bucket' }
  })
  return [...samples, { labels, value: sum / unit, suffix: '_sum' }, { labels, value: count, suffix: '_count' }]
}

function labelled(labels: string, names: readonly string[]): Record<string, string> {
  const values = labels.split(' ')
  return Object.fromEntries(names.map((name, i) => [name, values[i] as string]))
}
