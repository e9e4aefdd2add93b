// Spans of a real OpenTelemetry SDK: what is scheduled and what is settled, in two processes' worth of timers, and the link between the two.

import assert from 'node:assert/strict'
import { context, type Link, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { startExpiryWorker, transition } from '../../lib/index.js'
import { Keys } from '../../lib/keys.js'
import { orderTimersTracing } from '../../lib/tracing.js'
import type { Database } from '../support/database.js'
import { refused } from '../support/refused.js'
import { makeTimers, openShop, type Shop, watched } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const failing = new Set<number>()
const rulesOf = ({ Order }: Pick<Database, 'Order'>) => ({
  order_confirm: transition(Order, {
    ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 1 },
    run: async (orders) => {
      if (orders.some(({ id }) => failing.has(id))) throw new Error('no stock')
      trace.getTracer('shop').startSpan('mail').end()
    },
  }),
})

describe('express-order-timers/tracing', () => {
  const exporter = new InMemorySpanExporter()
  const named = (name: string) => exporter.getFinishedSpans().filter((span) => span.name === name)
  const keys = () => new Keys(shop.redis.prefix)
  const spanKeys = () => shop.redis.client.keys(`${keys().spans('order_confirm', 0).replace(/0$/, '')}*`)
  let shop: Shop<ReturnType<typeof rulesOf>>

  const register = (sampler: AlwaysOnSampler | AlwaysOffSampler) => {
    trace.setGlobalTracerProvider(new BasicTracerProvider({ sampler, spanProcessors: [new SimpleSpanProcessor(exporter)] }))
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  }

  beforeEach(async () => {
    shop = await openShop(rulesOf)
    exporter.reset()
    failing.clear()
  })

  afterEach(async () => {
    await shop.close()
    trace.disable()
    context.disable()
  })

  /** A worker on timers of its own, as another process has them. */
  const startWorker = async () => {
    const timers = makeTimers(rulesOf(shop.database.connectSequelize()), { redis: shop.redis.url, prefix: shop.redis.prefix })
    orderTimersTracing(timers)
    const worker = watched(startExpiryWorker(timers, { fallback: false }))
    await worker.ready
    return { worker, end: () => worker.stop().then(() => timers.close()) }
  }

  it('shows no values of rows in the error of a span', async () => {
    register(new AlwaysOnSampler())
    const { end } = await startWorker()
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id, { after: '1s' })
    const { client } = shop.database
    await client.query(`CREATE FUNCTION shown() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 'Ms Example'::int; END $$`)
    await client.query('CREATE TRIGGER shown BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION shown()')
    const failed = await waitUntil(() => named('process order_confirm').find(({ status }) => status.code === SpanStatusCode.ERROR))
    assert.match(failed.status.message ?? '', /invalid input syntax/)
    assert.doesNotMatch(failed.status.message ?? '', /Ms Example/)
    await end()
  })

  it('shows what a request schedules as a part of its trace, and what is settled as a trace of its own with a link back', async () => {
    register(new AlwaysOnSampler())
    orderTimersTracing(shop.timers)
    const { worker, end } = await startWorker()
    const orders = [await shop.order({ status: 4 }), await shop.order({ status: 4 })]
    const request = trace.getTracer('shop').startSpan('POST /orders/1/ship')
    await context.with(trace.setSpan(context.active(), request), () =>
      Promise.all(orders.map((id) => shop.timers.schedule('order_confirm', id, { after: '400ms' }))),
    )
    request.end()
    await waitUntil(() => worker.settled.length === 2)
    await waitUntil(() => linksOf(named('process order_confirm')).length === 2, { what: 'the links' })
    const scheduled = named('schedule order_confirm')
    for (const span of scheduled) {
      assert.deepEqual([span.kind, span.parentSpanContext?.spanId], [SpanKind.PRODUCER, request.spanContext().spanId])
      assert.equal(span.attributes['messaging.destination.name'], 'order_confirm')
    }
    assert.deepEqual(scheduled.map((span) => span.attributes['messaging.message.id']).sort(), orders.map(String).sort())
    const processed = named('process order_confirm')
    for (const span of processed) {
      assert.deepEqual([span.kind, span.parentSpanContext, span.attributes['order_timers.path']], [SpanKind.CONSUMER, undefined, 'alarm'])
    }
    assert.equal(sum(processed, 'messaging.batch.message_count'), 2)
    assert.equal(sum(processed, 'order_timers.settled'), 2)
    assert.deepEqual(spanIds(linksOf(processed)), scheduled.map((span) => span.spanContext().spanId).sort())
    for (const mail of named('mail')) assert.ok(processed.some((span) => span.spanContext().spanId === mail.parentSpanContext?.spanId))
    await waitUntil(async () => (await spanKeys()).length === 0, { what: 'the links to be forgotten' })
    await end()
  })

  it('shows what is refused and what fails as errors', async () => {
    register(new AlwaysOnSampler())
    orderTimersTracing(shop.timers)
    await refused(() => shop.timers.schedule('order_confirm', 77))
    assert.equal(named('schedule order_confirm')[0]?.attributes['error.type'], 'ERR_ORDER_TIMERS_ORDER_NOT_FOUND')
    const { worker, end } = await startWorker()
    const id = await shop.order({ status: 4 })
    failing.add(id)
    await shop.timers.schedule('order_confirm', id, { after: 100 })
    await waitUntil(() => worker.deadTold.length === 1)
    const [span] = named('process order_confirm')
    assert.deepEqual([span?.status.code, span?.status.message], [SpanStatusCode.ERROR, 'no stock'])
    await end()
  })

  it('keeps a link for so long as its order may wait, and none where the span is not sampled or tracing has ended', async () => {
    register(new AlwaysOffSampler())
    const end = orderTimersTracing(shop.timers)
    const id = await shop.order({ status: 4 })
    const schedule = () => shop.timers.schedule('order_confirm', id, { after: '24h' })
    await schedule()
    trace.disable()
    await schedule() // no provider at all
    assert.deepEqual(await spanKeys(), [])
    register(new AlwaysOnSampler())
    end()
    await schedule()
    assert.deepEqual([await spanKeys(), exporter.getFinishedSpans().length], [[], 0])
    orderTimersTracing(shop.timers)
    const { deadline } = await schedule()
    const [key = ''] = await waitUntil(async () => ((await spanKeys()).length === 1 ? spanKeys() : undefined))
    const lapsesAt = await waitUntil(async () => Math.max(0, await shop.redis.client.pexpiretime(key)))
    const afterMs = lapsesAt - (deadline as Date).getTime()
    assert.ok(afterMs > 86_400_000 && afterMs <= 3 * 86_400_000 + 60_000, `${afterMs} ms after the deadline`)
  })
})

function linksOf(spans: readonly ReadableSpan[]): Link[] {
  return spans.flatMap(({ links }) => links)
}

function spanIds(links: readonly Link[]): string[] {
  return links.map(({ context }) => context.spanId).sort()
}

function sum(spans: readonly ReadableSpan[], attribute: string): number {
  return spans.reduce((total, { attributes }) => total + Number(attributes[attribute]), 0)
}
