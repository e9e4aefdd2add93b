// One metric as prom-client's registries take it: name, help, type and `get()`. Its values are what this process knows when it is asked, so nothing is
// counted twice, and a metric that fails shows nothing instead of failing all the others.

/** Where metrics are registered: a `Registry` of prom-client. */
export interface MetricsRegistry {
  registerMetric(metric: object): void
  removeSingleMetric(name: string): void
}

export interface Sample {
  labels: Record<string, string | number>
  value: number
  /** Of a histogram: `_bucket`, `_sum`, `_count`. */
  suffix?: string
}

export interface MetricOptions {
  /** Without `order_timers_`. */
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  read(): Sample[]
}

const PREFIX = 'order_timers_'

export class Metric {
  /** prom-client takes `_total` away from a counter's name in an OpenMetrics registry. */
  name: string
  readonly help: string
  readonly type: MetricOptions['type']
  /** How a cluster of processes behind one registry is added up: what is the database's is the same in all of them. */
  readonly aggregator: 'sum' | 'max'
  private readonly read: () => Sample[]

  constructor({ name, help, type, read }: MetricOptions) {
    this.name = PREFIX + name
    this.help = help
    this.type = type
    this.aggregator = type === 'gauge' ? 'max' : 'sum'
    this.read = read
  }

  async get(): Promise<object> {
    const { name, help, type, aggregator } = this
    return { name, help, type, aggregator, values: this.values() }
  }

  /** A registry may be asked to reset all its metrics. These follow from what has happened. */
  reset(): void {}

  private values(): object[] {
    try {
      const { name } = this
      return this.read().map(({ labels, value, suffix }) => ({ labels, value, ...(suffix !== undefined && { metricName: name + suffix }) }))
    } catch {
      return []
    }
  }
}
