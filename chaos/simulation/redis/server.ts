// A Redis of one node: connections, scripts, subscriptions, and expiry, with an event when it comes across an expired key. It runs one command
// at a time. It can be killed, frozen, emptied, and put back to an earlier state.

import { createHash } from 'node:crypto'
import RedisParser from 'redis-parser'
import type { Peer, Server, Session } from '../network.js'
import type { VirtualTime } from '../virtual-time.js'
import { Data } from './data.js'
import { isError, LuaError, type Reply, translate } from './lua.js'

export const REDIS = 'redis'

/** How long after its expiry Redis comes across a key by itself. */
const FOUND = { usualMs: 100, longMs: 5_000, longChance: 0.2 }

const INFO = [
  ...['# Server', 'redis_version:7.0.15', '# Memory', 'maxmemory_policy:noeviction', '# Persistence', 'loading:0'],
  ...['# Replication', 'role:master', '# Cluster', 'cluster_enabled:0', ''],
].join('\r\n')

/** What happened in a Redis, in order, so that it can be held against a real one. */
export type RedisEvent =
  | { words: string[]; reply: Reply; now: number; lua?: string | undefined }
  | { expired: string }
  | { expires: string; at: number }
  | { flushed: true }

const translated = new Map<string, ReturnType<typeof translate>>()

export class RedisModel implements Server {
  readonly name = REDIS
  /** How far its clock is off, milliseconds. */
  clockOffMs = 0
  down = false
  readonly data: Data
  /** Told of everything that happens. */
  record: ((event: RedisEvent) => void) | undefined
  /** Texts of scripts by their SHA1. */
  private scripts = new Map<string, string>()
  private readonly sessions = new Set<RedisSession>()
  /** Expiries that the present command has set. */
  private expiries: { expires: string; at: number }[] = []
  /** Scripts see one time while they run. */
  private frozenAt: number | undefined

  constructor(readonly time: VirtualTime) {
    this.data = new Data(() => this.frozenAt ?? this.now(), {
      expired: (key) => {
        this.record?.({ expired: key })
        this.publish('__keyevent@0__:expired', key)
      },
      willExpire: (key, at) => {
        this.expiries.push({ expires: key, at })
        this.expireLater(key, at)
      },
      publish: (channel, message) => this.publish(channel, message),
    })
  }

  accept(peer: Peer): Session | undefined {
    if (this.down) return undefined
    const session = new RedisSession(this, peer)
    this.sessions.add(session)
    return session
  }

  forget(session: RedisSession): void {
    this.sessions.delete(session)
  }

  /** Its process has ended; scripts and subscriptions are gone. The caller cuts the connections. */
  stop(): void {
    this.down = true
    this.scripts.clear()
  }

  flush(): void {
    this.record?.({ flushed: true })
    this.data.flush()
  }

  /** Carries out a command of a client. */
  execute(words: string[]): Reply {
    this.expiries = []
    const now = this.now()
    const reply = this.carryOut(words)
    if (this.record) {
      this.record({ words, reply, now, lua: this.scriptOf(words) })
      for (const expiry of this.expiries) this.record(expiry)
    }
    return reply
  }

  /** All that is in due indexes: after it lost data, also of orders that were settled long ago. */
  deadlines(): number[] {
    const indexes = this.data.keys().filter((key) => /^order-timers:\{\w+\}:due$/.test(key))
    return indexes.flatMap((key) => (this.data.look(key).value as string[]).filter((_, i) => i % 2 === 1).map(Number))
  }

  private scriptOf([name = '', script = '']: string[]): string | undefined {
    if (/^EVAL$/i.test(name)) return script
    return /^EVALSHA$/i.test(name) ? this.scripts.get(script) : undefined
  }

  private carryOut(words: string[]): Reply {
    const [name = ''] = words
    switch (name.toUpperCase()) {
      case 'EVALSHA':
      case 'EVAL':
        return this.runScript(words)
      case 'SCRIPT':
        return this.load(words[2] as string)
      case 'INFO':
        return INFO
      case 'CONFIG':
        return words[2] === 'maxmemory-policy' ? ['maxmemory-policy', 'noeviction'] : ['notify-keyspace-events', 'xE']
      case 'CLIENT':
      case 'SELECT':
      case 'QUIT':
        return { ok: 'OK' }
      default:
        return this.data.execute(words)
    }
  }

  private now(): number {
    return this.time.epochMs + this.clockOffMs
  }

  private load(lua: string): Reply {
    const sha = createHash('sha1').update(lua, 'latin1').digest('hex')
    this.scripts.set(sha, lua)
    return sha
  }

  private runScript([name = '', script = '', keyCount = '0', ...values]: string[]): Reply {
    const sha = name.toUpperCase() === 'EVAL' ? (this.load(script) as string) : script
    const lua = this.scripts.get(sha)
    if (lua === undefined) return { err: 'NOSCRIPT No matching script. Please use EVAL.' }
    let run = translated.get(sha)
    if (!run) {
      run = translate(lua)
      translated.set(sha, run)
    }
    this.frozenAt = this.now()
    try {
      return run(
        (words) => (words[0] === 'INFO' ? INFO : this.data.execute(words)),
        values.slice(0, Number(keyCount)),
        values.slice(Number(keyCount)),
      )
    } catch (error) {
      if (error instanceof LuaError) return { err: error.message }
      throw error
    } finally {
      this.frozenAt = undefined
    }
  }

  private publish(channel: string, message: string): number {
    let heard = 0
    for (const session of this.sessions) if (session.tell(channel, message)) heard += 1
    return heard
  }

  private expireLater(key: string, at: number): void {
    const { random } = this.time
    const lateMs = random.next() * (random.chance(FOUND.longChance) ? FOUND.longMs : FOUND.usualMs)
    this.time.schedule(REDIS, Math.max(0, at - this.now()) + lateMs, () => {
      if (!this.down) this.data.touch(key)
    })
  }
}

class RedisSession implements Session {
  private readonly channels = new Set<string>()
  private readonly parser: RedisParser

  constructor(
    private readonly server: RedisModel,
    private readonly peer: Peer,
  ) {
    this.parser = new RedisParser({
      returnBuffers: true,
      returnReply: (words: unknown) => this.command((words as Buffer[]).map((word) => word.toString('latin1'))),
      returnError: (error: Error) => {
        throw error
      },
    })
  }

  receive(data: Buffer): void {
    this.parser.execute(data)
  }

  closed(): void {
    this.server.forget(this)
  }

  /** @returns whether it is subscribed to this channel */
  tell(channel: string, message: string): boolean {
    if (!this.channels.has(channel)) return false
    this.send(['message', channel, message])
    return true
  }

  private command(words: string[]): void {
    const [name = '', channel = ''] = words
    const word = name.toUpperCase()
    if (word === 'SUBSCRIBE') {
      this.channels.add(channel)
      this.send(['subscribe', channel, this.channels.size])
    } else if (word === 'PING' && this.channels.size > 0) this.send(['pong', ''])
    else this.send(this.server.execute(words))
    if (word === 'QUIT') this.peer.end()
  }

  private send(reply: Reply): void {
    this.peer.send(Buffer.from(encode(reply), 'latin1'))
  }
}

function encode(reply: Reply): string {
  if (reply === null) return '$-1\r\n'
  if (typeof reply === 'number') return `:${reply}\r\n`
  if (typeof reply === 'string') return `$${reply.length}\r\n${reply}\r\n`
  if (Array.isArray(reply)) return `*${reply.length}\r\n${reply.map(encode).join('')}`
  return isError(reply) ? `-${/^[A-Z]+ /.test(reply.err) ? '' : 'ERR '}${reply.err}\r\n` : `+${reply.ok}\r\n`
}
