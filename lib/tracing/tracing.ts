// Spans of OpenTelemetry: `schedule KIND` around a call, `process KIND` around a batch, and links from the second to the first. Only sampled spans
// cost more than their creation.

import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'
import type { ScheduledTimer, TracedBatch, Tracer } from '../tracer.js'
import { VERSION } from '../version.js'
import { runtimeOf } from '../worker/runtime-of.js'
import opentelemetry from './opentelemetry.cjs'
import { SpanLinks } from './span-links.js'

type Api = typeof import('@opentelemetry/api')
type Span = import('@opentelemetry/api').Span

/**
 * Traces `schedule` and what a worker settles by the global tracer provider. Needs `@opentelemetry/api` 1.9 or later. Call it once, after the provider is registered.
 * @param appOrTimers the timers, a worker, or the Express app that they are mounted on
 * @returns a function that ends it
 * @throws OrderTimersError NOT_MOUNTED; INVALID_OPTION where `@opentelemetry/api` is not installed
 */
export function orderTimersTracing(appOrTimers: unknown): () => void {
  const runtime = runtimeOf(appOrTimers)
  const links = runtime.redis && new SpanLinks(runtime.redis.connection, runtime.keys)
  const tracer = new SpanTracer(requireApi(), links)
  runtime.tracer = tracer
  return () => {
    if (runtime.tracer === tracer) runtime.tracer = undefined
  }
}

class SpanTracer implements Tracer {
  private readonly tracer: import('@opentelemetry/api').Tracer

  constructor(
    private readonly api: Api,
    private readonly links: SpanLinks | undefined,
  ) {
    this.tracer = api.trace.getTracer('express-order-timers', VERSION)
  }

  async schedule<T extends ScheduledTimer>(kind: string, call: () => Promise<T>): Promise<T> {
    const { context, SpanKind, trace } = this.api
    const attributes = attributesOf('schedule', 'send', kind)
    const span = this.tracer.startSpan(`schedule ${kind}`, { kind: SpanKind.PRODUCER, attributes })
    try {
      const timer = await context.with(trace.setSpan(context.active(), span), call)
      span.setAttribute('messaging.message.id', timer.id)
      if (timer.deadline && this.isSampled(span)) void this.links?.note(kind, timer.id, timer.deadline.getTime(), span.spanContext())
      return timer
    } catch (error) {
      this.noteError(span, error)
      throw error
    } finally {
      span.end()
    }
  }

  batch(kind: string, count: number, via: string): TracedBatch {
    const { context, ROOT_CONTEXT, SpanKind, trace } = this.api
    const attributes = { ...attributesOf('process', 'process', kind), 'messaging.batch.message_count': count, 'order_timers.path': via }
    // A worker that was started within a request must not count as a part of it.
    const span = this.tracer.startSpan(`process ${kind}`, { kind: SpanKind.CONSUMER, attributes, root: true }, ROOT_CONTEXT)
    const within = trace.setSpan(ROOT_CONTEXT, span)
    return {
      run: (work) => context.with(within, work),
      end: (settled) => {
        span.setAttribute('order_timers.settled', settled.length)
        const endedAt = Date.now()
        if (!this.links || !this.isSampled(span)) span.end(endedAt)
        else void this.links.take(kind, settled).then((scheduled) => this.endLinked(span, scheduled, endedAt))
      },
      fail: (error) => {
        this.noteError(span, error)
        span.end()
      },
    }
  }

  private endLinked(span: Span, scheduled: { traceId: string; spanId: string }[], endedAt: number): void {
    const { TraceFlags } = this.api
    for (const context of scheduled) span.addLink({ context: { ...context, traceFlags: TraceFlags.SAMPLED, isRemote: true } })
    span.end(endedAt)
  }

  private isSampled(span: Span): boolean {
    return span.isRecording() && (span.spanContext().traceFlags & this.api.TraceFlags.SAMPLED) !== 0
  }

  private noteError(span: Span, error: unknown): void {
    const { code } = (error ?? {}) as { code?: unknown }
    span.setStatus({ code: this.api.SpanStatusCode.ERROR, message: errorText(error) }) // without values of rows
    if (typeof code === 'string') span.setAttribute('error.type', code)
  }
}

/** @see https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ */
function attributesOf(name: string, type: string, kind: string): Record<string, string> {
  return {
    'messaging.system': 'express-order-timers',
    'messaging.operation.name': name,
    'messaging.operation.type': type,
    'messaging.destination.name': kind,
  }
}

function requireApi(): Api {
  try {
    return opentelemetry.api()
  } catch (cause) {
    const message = 'orderTimersTracing: @opentelemetry/api is not installed; npm install @opentelemetry/api'
    throw new OrderTimersError('MISSING_PACKAGE', message, { cause })
  }
}
