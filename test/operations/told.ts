// What an incident is expected to be told as, by `status`, by `/ready`, by the metrics and by Prometheus's alerts; and what they did tell.

import { Registry } from 'prom-client'
import type { Status } from '../../lib/admin/status.js'
import type { OrderTimersHealth } from '../../lib/health.js'
import { type OrderTimersMetrics, orderTimersMetrics } from '../../lib/metrics.js'
import { waitUntil } from '../support/waiting.js'

export interface Expected {
  /** Of `status`: its line, such as `✘ NO_WORKER`, and what it says. */
  status: [mark: string, message: RegExp]
  /** What else it may say, since it follows. */
  statusMay?: string[]
  /** Of a web process's /ready: check, state, and codes, such as `redis degraded REDIS_UNAVAILABLE`. */
  web?: string[]
  /** Of the worker's. */
  worker?: string[]
  /** What else they may say. */
  readyMay?: string[]
  /** Series of either process that are above 0, without `order_timers_`. */
  metrics: string[]
  /** Codes of faults that the metrics may show besides. */
  faultsMay?: string[]
  /** What Prometheus alerts an engineer to, if it goes on like this. */
  alerts: string[]
  /** What else may be alerted to. */
  alertsMay?: string[]
}

/** The values of an exposition, by the series' text. */
export type Series = Map<string, number>

export interface Told {
  status: Status
  /** As lines, such as `redis degraded REDIS_UNAVAILABLE`; undefined where there is no such process. */
  ready: { web: string[]; worker: string[] | undefined }
  isFailing: boolean
  series: Series
}

export function linesOf({ troubles }: Pick<Status, 'troubles'>): string[] {
  return [...new Set(troubles.map(({ level, code }) => `${level === 'failing' ? '✘' : '!'} ${code}`))]
}

/** The checks that are not ok. */
export async function readyLines(health: OrderTimersHealth): Promise<{ lines: string[]; isFailing: boolean }> {
  const { status, checks } = await health.ready()
  const bad = Object.entries(checks).filter(([, { state }]) => state !== 'ok')
  return {
    lines: bad.map(([name, { state, codes = [] }]) => `${name} ${state} ${codes.join(' ')}`.trim()),
    isFailing: status === 'failing',
  }
}

/** What a process exposes, for as long as it runs. */
export class Exposition {
  private readonly registry = new Registry()
  private readonly metrics: OrderTimersMetrics

  constructor(
    timers: unknown,
    private readonly process: string,
  ) {
    this.metrics = orderTimersMetrics(timers, { registry: this.registry })
  }

  async read(): Promise<Series> {
    return valuesOf(await this.registry.metrics(), this.process)
  }

  end(): void {
    this.metrics.stop()
  }
}

/**
 * The same of a process that has just been started: its orders are counted after a second, where Postgres answers. Where it does not, nothing is said of
 * how long that has been so: this one began a moment ago.
 */
export async function freshly(timers: unknown, process: string, within = 3_000): Promise<Series> {
  const exposition = new Exposition(timers, process)
  const shows = (name: string) => async () =>
    [...(await exposition.read()).keys()].some((series) => series.startsWith(`order_timers_${name}`))
  try {
    await waitUntil(shows('orders{'), { within, every: 100 }).catch(() => {})
    await waitUntil(shows('sweep_last_read_timestamp_seconds'), { within: within / 3, every: 100 }).catch(() => {}) // asked after the counting
    const series = await exposition.read()
    if (await shows('orders{')()) return series
    return new Map([...series].filter(([name]) => !name.startsWith('order_timers_orders_age_seconds')))
  } finally {
    exposition.end()
  }
}

function valuesOf(text: string, process: string): Series {
  const series: Series = new Map()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const at = line.lastIndexOf(' ')
    const name = line.slice(0, at)
    const labelled = name.includes('{') ? name.replace('{', `{instance="${process}",`) : `${name}{instance="${process}"}`
    series.set(labelled, Number(line.slice(at + 1)))
  }
  return series
}

/** What is expected and not told yet. */
export function missing({ status, web = [], worker = [], metrics }: Expected, told: Told): string[] {
  const lacks = (all: readonly string[] | undefined, wanted: readonly string[], who: string) =>
    all ? wanted.filter((one) => !all.includes(one)).map((one) => `${who}: ${one}`) : []
  const above = [...told.series].filter(([, value]) => value > 0).map(([name]) => name)
  return [
    ...lacks(linesOf(told.status), status[0] === '' ? [] : [status[0]], 'status'),
    ...lacks(told.ready.web, web, 'the web /ready'),
    ...lacks(told.ready.worker, worker, "the worker's /ready"),
    ...metrics.filter((one) => !above.some((name) => withoutInstance(name) === `order_timers_${one}`)).map((one) => `metrics: ${one}`),
  ]
}

/** What is told and not expected. */
export function untrue(expected: Expected, told: Told): string[] {
  const { status, statusMay = [], web = [], worker = [], readyMay = [], metrics, faultsMay = [] } = expected
  const [mark, message] = status
  const trouble = told.status.troubles.find(({ code }) => code === mark.split(' ')[1])
  const isIn = (line: string, may: readonly string[]) => may.some((one) => line === one || line.startsWith(`${one} `))
  const faults = [...told.series]
    .filter(([name, value]) => value > 0 && name.startsWith('order_timers_fault{'))
    .map(([name]) => /code="(\w+)"/.exec(name)?.[1] ?? name)
  const expectedFaults = metrics.flatMap((series) => /^fault\{code="(\w+)"/.exec(series)?.[1] ?? [])
  return [
    ...(trouble && !message.test(trouble.message) ? [`status: ${trouble.message}`] : []),
    ...linesOf(told.status)
      .filter((line) => line !== mark && !statusMay.includes(line))
      .map((line) => `status: ${line}`),
    ...told.ready.web.filter((line) => !web.includes(line) && !isIn(line, readyMay)).map((line) => `the web /ready: ${line}`),
    ...(told.ready.worker ?? [])
      .filter((line) => !worker.includes(line) && !isIn(line, readyMay))
      .map((line) => `the worker's /ready: ${line}`),
    ...new Set(
      faults.filter((code) => !expectedFaults.includes(code) && !faultsMay.includes(code)).map((code) => `metrics: fault ${code}`),
    ),
    ...(told.isFailing && told.status.ok ? ['/ready is failing, and status calls it no reason to get up'] : []),
  ]
}

export function withoutInstance(series: string): string {
  return series.replace(/instance="\w+",?/, '').replace('{}', '')
}

/** As the table in docs/health.md has it. */
export function rowOf(name: string, { status: [mark], web, worker, alerts }: Expected): string {
  const quoted = (lines: readonly string[] | undefined, none: string) => lines?.map((line) => `\`${line}\``).join(', ') || none
  const ofWorker = quoted(worker, name.startsWith('the worker is') ? 'none runs' : 'ok')
  const names = alerts.map((alert) => alert.replace('OrderTimers', '')).join(', ')
  return `| ${name} | ${mark === '' ? 'all is well' : `\`${mark}\``} | ${quoted(web, 'ok')} | ${ofWorker} | ${names || 'none'} |`
}
