// Holds the simulation's model of Redis against a real one: everything that was sent to the model in random stories is sent to a real server, and
// each answer, and what is kept in the end, must be the same.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { play } from '../../chaos/simulation/play.js'
import { type Reply, translate } from '../../chaos/simulation/redis/lua.js'
import type { RedisEvent, RedisModel } from '../../chaos/simulation/redis/server.js'
import { type Story, stories } from '../../chaos/simulation/story.js'
import { SCRIPTS } from '../../lib/redis/scripts.generated.js'
import { RedisServer } from '../support/redis-server.js'

const TIME_KEY = 'simulated-time'
/** They answer differently on each server, or only ever in the same way. */
const NOT_COMPARED = new Set(['TIME', 'INFO', 'CONFIG', 'CLIENT', 'SELECT', 'PING', 'QUIT', 'PUBLISH', 'PTTL', 'SCRIPT', 'HELLO'])
const LOOK_FOR_MS = 4_000
/** How many answers are compared at least. */
const ENOUGH = 300

describe('The model of Redis', function () {
  this.timeout(120_000)
  let server: RedisServer
  let client: Redis

  before(async () => {
    server = await RedisServer.start(['--enable-debug-command', 'local'])
    client = new Redis(server.url)
  })

  after(async () => {
    client.disconnect()
    await server.stop()
  })

  it('answers as a real one does to everything that the package sends', async () => {
    const until = performance.now() + LOOK_FOR_MS
    let compared = 0
    const property = fc.asyncProperty(stories, async (story) => {
      if (performance.now() > until && compared > ENOUGH) return
      const { events, model } = await recorded(story)
      compared += await replay(client, events)
      assert.deepEqual(await contents(client), contentsOf(model))
    })
    await fc.assert(property, { numRuns: 200 })
    assert.ok(compared > ENOUGH, `only ${compared} answers were compared`)
  })

  it('translates each script of the package', () => {
    for (const { lua } of Object.values(SCRIPTS)) translate(lua)
  })

  it('rounds and writes numbers as a real one does', async () => {
    const model = await lonelyModel()
    const script = `local x = tonumber(ARGV[1])
      return { string.format('%.0f', x), string.format('%.3f', x / 16), x .. '', x / 7 .. '', math.floor(x), math.ceil(x), x }`
    const halves = fc.integer({ min: -1e6, max: 1e6 }).map((n) => n / 2)
    const instants = fc.integer({ min: 0, max: 1e7 }).map((us) => 4_102_444_892_000 + us / 1000)
    const property = fc.asyncProperty(fc.oneof(halves, instants), async (x) => {
      const words = [script, '0', String(x)] as const
      assert.deepEqual(plain(model.execute(['EVAL', ...words])), await client.eval(script, 0, String(x)))
    })
    await fc.assert(property, { numRuns: 500, examples: [[782.5], [783.5], [-0.5], [0.5]] })
  })

  it('tells of an expired key where a real one does', async () => {
    const listener = new Redis(server.url)
    const heard: string[] = []
    await listener.subscribe('__keyevent@0__:expired')
    listener.on('message', (_, key) => heard.push(key))
    await client.flushall()
    await client.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    const touches: [name: string, ...words: string[]][] = [
      ['EXISTS', 'k1'],
      ['UNLINK', 'k2'],
      ['SINTERSTORE', 'k3', 'none'],
      ['PTTL', 'k4'],
      ['SET', 'k5', '2', 'NX'],
      ['GET', 'k6'],
    ]
    const model = await lonelyModel()
    for (const key of ['k1', 'k2', 'k3', 'k4', 'k5', 'k6']) {
      await client.set(key, '1', 'PX', 5)
      model.execute(['SET', key, '1', 'PX', '5'])
    }
    while ((await client.call('PTTL', 'k6')) !== -2) await client.ping()
    model.time.now += 10
    const told: string[] = []
    model.record = (event) => 'expired' in event && told.push(event.expired)
    for (const [name, ...words] of [['PTTL', 'k6'] as (typeof touches)[0], ...touches])
      assert.deepEqual(plain(model.execute([name, ...words])), await client.call(name, ...words), name)
    await client.publish('__keyevent@0__:expired', 'the end')
    while (heard.at(-1) !== 'the end') await client.ping()
    listener.disconnect()
    assert.deepEqual(told, heard.slice(0, -1))
  })
})

async function recorded(story: Story): Promise<{ events: RedisEvent[]; model: RedisModel }> {
  const events: RedisEvent[] = []
  let model: RedisModel | undefined
  // Put back to an earlier state, a Redis has what no command says.
  const steps = story.steps.filter(({ step }) => step.do !== 'restart Redis')
  await play({ ...story, steps }, ({ redis }) => {
    model = redis
    redis.record = (event) => events.push(event)
  })
  return { events, model: model as RedisModel }
}

async function lonelyModel(): Promise<RedisModel> {
  const { VirtualTime } = await import('../../chaos/simulation/virtual-time.js')
  const { RedisModel: Model } = await import('../../chaos/simulation/redis/server.js')
  const { Random } = await import('../../chaos/random.js')
  return new Model(new VirtualTime(new Random(1)))
}

/** @returns how many answers were compared */
async function replay(client: Redis, events: readonly RedisEvent[]): Promise<number> {
  await client.flushall()
  let compared = 0
  for (const event of events) {
    if ('flushed' in event) await client.flushall()
    else if ('expired' in event) await client.del(event.expired)
    else if ('expires' in event) await client.pexpireat(event.expires, event.at)
    else if (isCompared(event)) {
      const answer = await ask(client, event)
      assert.deepEqual(sorted(event.words, answer), sorted(event.words, plain(event.reply)), event.words.join(' '))
      compared += 1
    }
  }
  return compared
}

type CommandEvent = Extract<RedisEvent, { words: string[] }>

function isCompared({ words, reply }: CommandEvent): boolean {
  const [name = ''] = words
  if (NOT_COMPARED.has(name.toUpperCase())) return false
  // A script that the model does not have yet.
  return !(typeof reply === 'object' && reply !== null && 'err' in reply && reply.err.startsWith('NOSCRIPT'))
}

const READ_TIME = `redis.call('HMGET', '${TIME_KEY}', 's', 'us')`
/** What is left of a key's time, by the model's clock. */
const READ_PTTL = `(function(at)
  local time = ${READ_TIME}
  return at < 0 and at or math.max(0, at - time[1] * 1000 - math.floor(time[2] / 1000))
end)(redis.call('PEXPIRETIME', key))`

/** What a key lives longer on the real server, where the model says when it expires: a busy machine is late by more than some live. */
const LONGER_MS = 3_600_000

/** A script with longer lives: `'PX', ttlMs` and `redis.call('PEXPIRE', key, ttlMs)`. */
function outliving(lua: string): string {
  return lua
    .replaceAll(/'PX', ([\w.]+(?:\([^)]*\))?)/g, `'PX', $1 + ${LONGER_MS}`)
    .replaceAll(/('PEXPIRE', \w+, \w+)/g, `$1 + ${LONGER_MS}`)
}

/** A script is told the model's time. */
async function ask(client: Redis, { words, lua, now }: CommandEvent): Promise<unknown> {
  const [name = '', , ...rest] = words
  const answer = async (): Promise<unknown> => {
    if (lua === undefined) return client.call(name, ...words.slice(1))
    const seconds = Math.floor(now / 1000)
    await client.hset(TIME_KEY, 's', String(seconds), 'us', String(Math.floor((now - seconds * 1000) * 1000)))
    const text = outliving(lua)
      .replaceAll("redis.call('TIME')", READ_TIME)
      .replaceAll(/redis\.p?call\('PTTL', key\)/g, READ_PTTL)
    return client.call('EVAL', text, ...rest)
  }
  return answer().catch((error: Error) => error.message)
}

function plain(reply: Reply): unknown {
  if (Array.isArray(reply)) return reply.map(plain)
  if (reply === null || typeof reply !== 'object') return reply
  return 'ok' in reply ? reply.ok : reply.err
}

/** The order within a hash is nobody's business. */
function sorted([, sha]: string[], reply: unknown): unknown {
  if (!Array.isArray(reply) || sha === undefined || reply.length < 4) return reply
  if (reply.every((value) => typeof value === 'string')) return [...reply].sort()
  return reply.map((part) => (Array.isArray(part) ? part.map(String).sort() : part))
}

type Contents = Record<string, unknown>

async function contents(client: Redis): Promise<Contents> {
  const found: Contents = {}
  for (const key of (await client.keys('*')).sort()) {
    if (key === TIME_KEY) continue
    const type = await client.type(key)
    const at = Number(await client.call('PEXPIRETIME', key))
    const read = { string: ['GET', key], set: ['SMEMBERS', key], hash: ['HGETALL', key], zset: ['ZRANGE', key, '0', '-1', 'WITHSCORES'] }[
      type
    ]
    const answer = await client.call(...(read as [string, string]))
    const value = type === 'zset' ? (answer as unknown[]).flat() : answer // ioredis 6 gives pairs
    found[key] = { type, at, value: type === 'set' || type === 'hash' ? [...(value as string[])].sort() : value }
  }
  return found
}

function contentsOf({ data }: RedisModel): Contents {
  const found: Contents = {}
  for (const key of data.keys().sort()) {
    const { type, expiresAt, value } = data.look(key)
    found[key] = { type, at: expiresAt ?? -1, value: type === 'set' || type === 'hash' ? [...(value as string[])].sort() : value }
  }
  return found
}
