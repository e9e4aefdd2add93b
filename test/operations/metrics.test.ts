// What the metrics say of a shop's life, on prom-client's registries; that collecting asks nobody; and that Prometheus itself takes all of it: the
// exposition, the alert rules, the dashboard's expressions.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { transition } from '../../lib/index.js'
import { type MetricsRegistry, orderTimersMetrics } from '../../lib/metrics.js'
import { freePort } from '../support/free-port.js'
import { dieWithTests, enter } from '../support/opened.js'
import { prometheusFolder, promtool } from '../support/prometheus.js'
import { openShop, type Shop, type ShopOptions } from '../support/shop.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'

const oldest = createRequire(import.meta.url)('prom-client-oldest') as { Registry: typeof Registry }
const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const ALERTS = 'example/deploy/prometheus/alerts.yml'
const DASHBOARD = 'example/deploy/grafana/order-timers.json'

const rules = ({ Order }: Parameters<Parameters<typeof openShop>[0]>[0]) => ({
  order_confirm: transition(Order, {
    ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 1 },
    run: ([order]) => {
      if (order?.note === 'fails') throw new Error('no stock')
    },
  }),
  order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
})

const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000)

/** The values of an exposition, by the text before them. */
function valuesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

describe('metrics', function () {
  this.timeout(120_000)
  let shop: Shop<ReturnType<typeof rules>>
  let registry: Registry
  let stop: () => void

  const open = async (options: ShopOptions = {}) => {
    shop = await openShop(rules, options)
    registry = new Registry()
    stop = orderTimersMetrics(shop.timers, { registry }).stop
  }
  const values = async () => valuesOf(await registry.metrics())
  const value = async (series: string) => (await values()).get(`order_timers_${series}`)

  afterEach(async () => {
    stop?.()
    await shop?.close()
  })

  /** Something of everything: settled by the alarm and by the sweep, failed, armed. */
  const live = async () => {
    const worker = await shop.worker()
    const order = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', order, { after: '50ms' })
    await waitForEvent(worker, 'settled')
    const failing = await shop.order({ status: 4, note: 'fails' })
    await shop.timers.schedule('order_confirm', failing, { after: '50ms' })
    await waitForEvent(worker, 'dead')
    await shop.order({ status: 1, createdAt: ago(1_800) })
    const settled = waitForEvent(worker, 'settled')
    await worker.sweepNow()
    await settled
    await shop.order({ status: 4, confirmDueAt: new Date(Date.now() + 3_600_000) })
    return worker
  }

  it('show what happened, by rule and path, and the present state', async () => {
    await open()
    const preset = await values()
    assert.equal(preset.get('order_timers_settled_total{kind="order_pay",path="sweep"}'), 0)
    assert.equal(preset.get('order_timers_fault{code="REDIS_UNAVAILABLE",kind=""}'), 0)
    assert.equal(preset.get('order_timers_fault{code="BRAKED",kind="order_confirm"}'), 0)
    await live()
    await waitUntil(async () => (await value('orders{kind="order_confirm",state="dead"}')) === 1, { within: 60_000, every: 250 })
    const all = await values()
    const expected = {
      'settled_total{kind="order_confirm",path="alarm"}': 1,
      'settled_total{kind="order_pay",path="sweep"}': 1,
      'failed_total{kind="order_confirm"}': 1,
      'dead_total{kind="order_confirm"}': 1,
      'armed_total{kind="order_confirm",result="armed"}': 2,
      'lateness_seconds_count{kind="order_confirm",path="alarm"}': 1,
      'lateness_seconds_bucket{kind="order_confirm",path="alarm",le="+Inf"}': 1,
      'lateness_seconds_bucket{le="3600",kind="order_confirm",path="alarm"}': undefined,
      'orders{kind="order_confirm",state="pending"}': 1,
      'orders{kind="order_confirm",state="overdue"}': 0,
      'oldest_overdue_seconds{kind="order_confirm"}': 0,
      subscription_resets_total: 0,
      workers: 1,
    }
    for (const [series, wanted] of Object.entries(expected)) assert.equal(all.get(`order_timers_${series}`), wanted, series)
    assert.ok((all.get('order_timers_settle_seconds_count{kind="order_confirm"}') ?? 0) >= 1)
    assert.ok((all.get('order_timers_batch_orders_sum{kind="order_pay"}') ?? 0) >= 1)
    assert.ok((all.get('order_timers_sweep_seconds_count') ?? 0) >= 2)
    assert.ok(Math.abs(Date.now() / 1_000 - (all.get('order_timers_sweep_last_read_timestamp_seconds') ?? 0)) < 60)
    for (const clock of ['redis', 'postgres']) assert.ok(Math.abs(all.get(`order_timers_clock_skew_seconds{clock="${clock}"}`) ?? 9) < 1)
    assert.ok((all.get('order_timers_orders_age_seconds{kind="order_pay"}') ?? 99) < 60)
    assert.match([...all.keys()].join('\n'), /^order_timers_info\{version="\d/m)
    for (const series of all.keys()) assert.doesNotMatch(series, /127\.0\.0\.1|host|pid|id="/)
  })

  it('never fall when a worker is replaced, and also work without a worker', async () => {
    await open()
    const worker = await live()
    await worker.stop()
    const before = await value('settled_total{kind="order_confirm",path="alarm"}')
    await shop.worker()
    assert.equal(await value('settled_total{kind="order_confirm",path="alarm"}'), before)
  })

  it('are collected without asking any server, also while none answers, and never throw', async () => {
    const port = await freePort()
    await open({ redis: `redis://127.0.0.1:${port}` })
    await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }))
    await waitUntil(async () => (await value('fault{code="REDIS_UNAVAILABLE",kind=""}')) === 1)
    assert.equal(await value('armed_total{kind="order_confirm",result="kept"}'), 1)
    const statements: string[] = []
    Object.assign((shop.database.sequelize as unknown as { options: object }).options, { logging: (sql: string) => statements.push(sql) })
    const counted = await waitUntil(async () => (await values()).has('order_timers_orders{kind="order_pay",state="pending"}'), {
      within: 60_000,
    })
    assert.ok(counted && statements.length > 0)
    statements.length = 0
    for (let i = 0; i < 50; i += 1) await registry.metrics()
    assert.deepEqual(statements, [])
  })

  it('serve prom-client 14 and 15, OpenMetrics too, and are taken off again', async () => {
    await open()
    for (const own of [new Registry(), new oldest.Registry(), openMetrics()]) {
      const metrics = orderTimersMetrics(shop.timers, { registry: own as MetricsRegistry, orders: false })
      assert.match(await own.metrics(), /^order_timers_settled_total\{kind="order_pay",path="alarm"\} 0$/m)
      own.resetMetrics()
      assert.ok((await own.getMetricsAsJSON()).some(({ name }: { name: string }) => name === 'order_timers_fault'))
      assert.throws(() => orderTimersMetrics(shop.timers, { registry: own as MetricsRegistry }), {
        code: 'ERR_ORDER_TIMERS_INVALID_OPTION',
        message: /already been registered/,
      })
      metrics.stop()
      assert.doesNotMatch(await own.metrics(), /order_timers/)
    }
  })

  it('refuse options that they do not have', async () => {
    await open()
    for (const options of [{ registry: {} }, { orders: 1 }, { order: true }, null])
      assert.throws(() => orderTimersMetrics(shop.timers, options as never), { code: 'ERR_ORDER_TIMERS_INVALID_OPTION' })
    assert.throws(() => orderTimersMetrics({}), { code: 'ERR_ORDER_TIMERS_NOT_MOUNTED' })
  })

  it('are scraped by Prometheus, which takes the exposition, the alerts and the dashboard', async () => {
    await open()
    await live()
    await waitUntil(async () => (await values()).has('order_timers_orders{kind="order_pay",state="pending"}'), { within: 60_000 })
    assert.equal(await promtool(['check', 'metrics'], await registry.metrics()), '')
    await promtool(['check', 'rules', file(ALERTS)])

    const server = createServer(async (_req, res) => {
      res.setHeader('content-type', registry.contentType)
      res.end(await registry.metrics())
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const directory = await mkdtemp(join(tmpdir(), 'order-timers-prometheus-'))
    const port = await freePort()
    const target = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const config = { global: { scrape_interval: '1s', evaluation_interval: '1s' }, rule_files: [file(ALERTS)] }
    const scrape = [{ job_name: 'shop', static_configs: [{ targets: [target] }] }]
    await writeFile(join(directory, 'prometheus.yml'), JSON.stringify({ ...config, scrape_configs: scrape }))
    const args = [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]
    const prometheus = dieWithTests(spawn(join(await prometheusFolder(), 'prometheus'), args, { cwd: directory, stdio: 'ignore' }))
    const strikeOut = enter('Prometheus', async () => prometheus.kill('SIGKILL'))
    const ended = once(prometheus, 'exit').finally(strikeOut)
    try {
      const ask = async (path: string) => {
        const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)
        const { data } = (await response.json()) as { data: { result: { value: [number, string] }[]; groups: { rules: Rule[] }[] } }
        return data
      }
      const asked = async (query: string) => (await ask(`query?query=${encodeURIComponent(query)}`)).result
      type Rule = { name: string; health: string; state: string; lastError?: string }
      await waitUntil(async () => (await asked('order_timers_settled_total > 0')).length === 2, { within: 60_000, every: 250 })
      assert.equal((await asked('max(order_timers_workers)'))[0]?.value[1], '1')
      const alerts = await waitUntil(
        async () => {
          const [group] = (await ask('rules')).groups
          return group?.rules.every(({ health }) => health === 'ok') ? group.rules : undefined
        },
        { within: 60_000, every: 250 },
      )
      const firing = alerts.filter(({ state }) => state === 'firing').map(({ name }) => name)
      assert.deepEqual(
        firing.filter((name) => !['OrderTimersDead', 'OrderTimersFailing'].includes(name)),
        [],
      )
      for (const expr of expressions(JSON.parse(await readFile(file(DASHBOARD), 'utf8'))))
        assert.ok(await asked(expr.replaceAll('$__rate_interval', '1m')), expr)
    } finally {
      prometheus.kill('SIGTERM')
      await ended
      server.closeAllConnections()
      server.close()
      await rm(directory, { recursive: true, force: true })
    }
  })
})

/** Its type does not know its own parameter. */
function openMetrics(): Registry {
  const OfType = Registry as unknown as new (contentType: string) => Registry
  return new OfType(Registry.OPENMETRICS_CONTENT_TYPE)
}

/** Each expression of the dashboard's panels. */
function expressions({ panels }: { panels: { targets: { expr: string }[] }[] }): string[] {
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
}

describe('the alert rules and the dashboard', () => {
  it('name only metrics that exist, and runbooks that are headings of docs/errors.md; and add up nothing that all processes report', async () => {
    const shop = await openShop(rules)
    const registry = new Registry()
    const { stop } = orderTimersMetrics(shop.timers, { registry, orders: false })
    const known = new Set((await registry.getMetricsAsJSON()).map(({ name }) => name))
    stop()
    await shop.close()
    const [alerts, dashboard, errors] = await Promise.all([ALERTS, DASHBOARD, 'docs/errors.md'].map((path) => readFile(file(path), 'utf8')))
    const rulesOf = (alerts as string).split(/^ {6}- alert: /m).slice(1)
    assert.ok(rulesOf.length > 8)
    const headings = [...(errors as string).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase().replace(/ /g, '-'))
    for (const rule of rulesOf) {
      const [, anchor = ''] =
        /runbook_url: https:\/\/github\.com\/OWNER\/express-order-timers\/blob\/main\/docs\/errors\.md#(\S+)$/m.exec(rule) ?? []
      assert.ok(headings.includes(anchor), `${rule.split('\n')[0]}: ${anchor}`)
      assert.doesNotMatch(rule, /\bsum\b/)
    }
    const named = `${alerts}\n${expressions(JSON.parse(dashboard as string)).join('\n')}`
    for (const [name] of named.matchAll(/(?<!err_)order_timers_\w+/g)) assert.ok(known.has(name.replace(/_bucket$/, '')), name)
  })

  it('fire when they should, and not when all is well', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'order-timers-alerts-'))
    const fired: [alert: string, series: Record<string, string>, labels: Record<string, string>, severity: string][] = [
      [
        'OrderTimersNoWorker',
        { 'order_timers_fault{code="NO_WORKER",instance="a"}': '1+0x20', 'order_timers_info{instance="a"}': '1+0x20' },
        {},
        'critical',
      ],
      [
        'OrderTimersOverdue',
        { 'order_timers_oldest_overdue_seconds{kind="order_pay",instance="a"}': '100+60x20' },
        { kind: 'order_pay' },
        'critical',
      ],
      ['OrderTimersSweepLate', { order_timers_sweep_last_read_timestamp_seconds: '0+0x20' }, {}, 'critical'],
      ['OrderTimersAbsent', {}, {}, 'critical'],
      [
        'OrderTimersDead',
        { 'order_timers_orders{kind="order_pay",state="dead",instance="a"}': '3+0x20' },
        { kind: 'order_pay' },
        'warning',
      ],
      ['OrderTimersClockSkew', { 'order_timers_clock_skew_seconds{clock="postgres"}': '-30+0x20' }, { clock: 'postgres' }, 'warning'],
      [
        'OrderTimersFault',
        { 'order_timers_fault{code="BRAKED",kind="order_pay"}': '1+0x20' },
        { code: 'BRAKED', kind: 'order_pay' },
        'warning',
      ],
    ]
    const well = {
      'order_timers_info{instance="a"}': '1+0x20',
      'order_timers_fault{code="NO_WORKER",instance="a"}': '0+0x20',
      'order_timers_oldest_overdue_seconds{kind="order_pay",instance="a"}': '0.5+0x20',
      'order_timers_orders{kind="order_pay",state="dead"}': '0+0x20',
      'order_timers_sweep_last_read_timestamp_seconds{instance="a"}': '0+60x20',
      'order_timers_clock_skew_seconds{clock="redis"}': '0.01+0x20',
    }
    const input = (series: Record<string, string>) => Object.entries(series).map(([name, values]) => ({ series: name, values }))
    const fires = fired.map(([alertname, series, labels, severity]) => ({
      ...{ name: alertname, interval: '1m', input_series: input(series) },
      promql_expr_test: [
        {
          expr: `count(ALERTS{alertname="${alertname}",alertstate="firing"})`,
          eval_time: '15m',
          exp_samples: [{ labels: '{}', value: 1 }],
        },
        {
          expr: `ALERTS{alertname="${alertname}",alertstate="firing"}`,
          eval_time: '15m',
          exp_samples: [{ labels: seriesOf(alertname, { ...labels, severity }), value: 1 }],
        },
      ],
    }))
    const quiet = {
      name: 'all is well',
      interval: '1m',
      input_series: input(well),
      promql_expr_test: [{ expr: 'ALERTS', eval_time: '15m', exp_samples: [] }],
    }
    const path = join(directory, 'alerts.test.yml')
    try {
      await writeFile(path, JSON.stringify({ rule_files: [file(ALERTS)], evaluation_interval: '1m', tests: [...fires, quiet] }))
      await promtool(['test', 'rules', path])
    } finally {
      await rm(directory, { recursive: true })
    }
  }).timeout(60_000)
})

function seriesOf(alertname: string, labels: Record<string, string>): string {
  const all = Object.entries({ alertname, alertstate: 'firing', ...labels }).map(([name, value]) => `${name}="${value}"`)
  return `ALERTS{${all.join(', ')}}`
}
