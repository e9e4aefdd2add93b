// What Prometheus would alert to, if things went on as two scrapes found them: promtool evaluates the alert rules that the project ships over series
// which continue what was scraped.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promtool } from '../support/prometheus.js'
import type { Series } from './told.js'

export const ALERTS = fileURLToPath(new URL('../../example/deploy/prometheus/alerts.yml', import.meta.url))

const JUST_DUE_S = 5

/** Longer than any rule waits. */
const MINUTES = 90

export interface Scrapes {
  name: string
  first: Series
  second: Series
  /** Between both, and when the second one was, seconds. */
  betweenS: number
  atS: number
  /** Names of alerts that must fire, and such that may. */
  alerts: readonly string[]
  alertsMay: readonly string[]
  /** As the table in docs/health.md has it. */
  row: string
}

/** @throws with the alerts that differ */
export async function assertAlerts(all: readonly Scrapes[]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'order-timers-alerts-'))
  const path = join(directory, 'incidents.test.yml')
  try {
    await writeFile(path, JSON.stringify({ rule_files: [ALERTS], evaluation_interval: '1m', tests: all.map(testOf) }))
    await promtool(['test', 'rules', path])
  } finally {
    await rm(directory, { recursive: true })
  }
}

function testOf({ name, alerts, alertsMay, ...scrapes }: Scrapes): object {
  const firing = `ALERTS{alertstate="firing"${alertsMay.length > 0 ? `,alertname!~"${alertsMay.join('|')}"` : ''}}`
  return {
    ...{ name, interval: '1m', input_series: continued(scrapes) },
    promql_expr_test: [
      {
        expr: `count by (alertname) (${firing}) > bool 0 # ${name}`,
        eval_time: `${MINUTES}m`,
        exp_samples: alerts.map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 })),
      },
    ],
  }
}

function continued({ first, second, betweenS, atS }: Pick<Scrapes, 'first' | 'second' | 'betweenS' | 'atS'>): object[] {
  return [...new Map([...first, ...second])].flatMap(([series, value]) => {
    if (!Number.isFinite(value)) return []
    const before = first.get(series) ?? value
    const [start, perMinute] = courseOf(series, value, { grown: value - before, betweenS, atS })
    return [{ series, values: `${start}+${perMinute}x${MINUTES + 10}`.replace('+-', '-') }]
  })
}

/** Counters go on as they did. What measures time goes with it or stands still. Everything else stays as it is. */
function courseOf(
  series: string,
  value: number,
  { grown, betweenS, atS }: { grown: number; betweenS: number; atS: number },
): [number, number] {
  const timePasses = grown > betweenS / 4 ? 60 : 0
  if (/_timestamp_seconds\b/.test(series)) return [value - atS, timePasses]
  if (/^order_timers_orders_age_seconds\b/.test(series)) return [value, timePasses]
  // What has just come due is settled in a moment.
  if (/^order_timers_oldest_overdue_seconds\b/.test(series)) return [value, value > JUST_DUE_S ? timePasses : 0]
  if (/_(?:total|bucket|sum|count)\{/.test(series)) return [value, Math.max(0, (grown / betweenS) * 60)]
  return [value, 0]
}
