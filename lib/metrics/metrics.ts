// `orderTimersMetrics(timers)`: registers the metrics of these timers with prom-client. A scrape asks no server and never throws.

import { errorText } from '../error-text.js'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'
import { parseFlag } from '../option-types.js'
import { runtimeOf } from '../worker/runtime-of.js'
import { Counting } from './counting.js'
import { figures } from './figures.js'
import { gauges } from './gauges.js'
import type { Metric, MetricsRegistry } from './metric.js'
import promClientModule from './prom-client.cjs'

export interface MetricsOptions {
  /** Where the metrics go: a `Registry` of prom-client. Default: prom-client's own `register`. */
  registry?: MetricsRegistry
  /** Whether this process counts orders in Postgres, at most every 30 s. Default: true. With many web processes it is enough if some count. */
  orders?: boolean
}

export interface OrderTimersMetrics {
  /** Ends the counting and removes the metrics from the registry. */
  stop(): void
}

/**
 * @param appOrTimers the timers, a worker, or the Express app that they are mounted on
 * @throws OrderTimersError NOT_MOUNTED, INVALID_OPTION; MISSING_PACKAGE if no registry is given and prom-client is not installed
 */
export function orderTimersMetrics(appOrTimers: unknown, options: MetricsOptions = {}): OrderTimersMetrics {
  refuseUnknownOptions('orderTimersMetrics', options, ['registry', 'orders'])
  const { orders = true, registry = ownRegistry() } = options
  if (typeof registry?.registerMetric !== 'function' || typeof registry.removeSingleMetric !== 'function')
    throw invalid(`"registry" must be a Registry of prom-client, got ${show(registry)}`)
  parseFlag('orderTimersMetrics', 'orders', orders)
  const runtime = runtimeOf(appOrTimers)
  const counting = new Counting(runtime)
  const metrics = [...figures(runtime), ...gauges(runtime, counting)]
  const registered = register(registry, metrics)
  if (orders) counting.start()
  return {
    stop: () => {
      counting.stop()
      for (const name of registered) registry.removeSingleMetric(name)
    },
  }
}

/** @returns the names in the registry; an OpenMetrics registry changes those of the metrics later */
function register(registry: MetricsRegistry, metrics: readonly Metric[]): string[] {
  const registered: string[] = []
  try {
    for (const metric of metrics) {
      registry.registerMetric(metric)
      registered.push(metric.name)
    }
    return registered
  } catch (cause) {
    for (const name of registered) registry.removeSingleMetric(name)
    throw invalid(`the registry refuses them (${errorText(cause)}); make them once, or give each timers a "registry" of its own`, cause)
  }
}

function ownRegistry(): MetricsRegistry {
  try {
    return promClientModule.promClient().register
  } catch (cause) {
    const problem = 'the package prom-client is needed, or a "registry" of it'
    throw new OrderTimersError('MISSING_PACKAGE', `orderTimersMetrics: ${problem}; npm install prom-client`, { cause })
  }
}

function invalid(message: string, cause?: unknown): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `orderTimersMetrics: ${message}`, cause === undefined ? {} : { cause })
}
