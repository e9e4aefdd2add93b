// One metric in the form of prom-client's registries: name, help, type and `get()`. Its values are read at each scrape, so nothing is
// counted twice, and a metric that fails shows nothing instead of breaking the others.

/** Where metrics are registered: a `Registry` of prom-client. */
export interface MetricsRegistry {
  registerMetric(metric: object): void
  removeSingleMetric(name: string): void
}

export interface Sample {
  labels: Record<string, string | number>
  value: number
  /** For a histogram: `_bucket`, `_sum`, `_count`. */
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
  /** In an OpenMetrics registry prom-client removes `_total` from a counter's name. */
  name: string
  readonly help: string
  readonly type: MetricOptions['type']
  /** How prom-client aggregates a cluster of processes: values from the database are the same in all of them. */
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

  /** A registry may reset its metrics. These are computed, so there is nothing to reset. */
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
