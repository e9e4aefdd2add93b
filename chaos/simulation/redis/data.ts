// What a Redis holds, and the commands on it that the package sends, by itself or from scripts. Exact for what is sent, and an error for
// anything else: test/simulation/ holds each against a real server.

import { text as asText, type Reply } from './lua.js'

type Value =
  | { type: 'string'; text: string }
  | { type: 'set'; members: Set<string> }
  | { type: 'hash'; fields: Map<string, string> }
  | { type: 'zset'; zset: SortedSet }

type Of<T extends Value['type']> = Extract<Value, { type: T }>

interface Entry {
  value: Value
  expiresAt: number | undefined
}

const WRONG_TYPE: Reply = { err: 'WRONGTYPE Operation against a key holding the wrong kind of value' }
const OK: Reply = { ok: 'OK' }

export interface DataListeners {
  /** A key was found to be past its expiry, and is gone. */
  expired(key: string): void
  /** A key will expire. */
  willExpire(key: string, at: number): void
  publish(channel: string, message: string): number
}

export class Data {
  private readonly entries = new Map<string, Entry>()

  constructor(
    /** Milliseconds since 1970, with fractions. */
    private readonly now: () => number,
    private readonly listeners: DataListeners,
  ) {}

  flush(): void {
    this.entries.clear()
  }

  /** A copy, as a snapshot on disk. */
  snapshot(): () => void {
    const kept = structuredClone([...this.entries].map(([key, entry]) => [key, plain(entry)] as const))
    return () => {
      this.entries.clear()
      for (const [key, entry] of structuredClone(kept)) this.entries.set(key, revived(entry))
      for (const [key, { expiresAt }] of this.entries) if (expiresAt !== undefined) this.listeners.willExpire(key, expiresAt)
    }
  }

  /** What a look at a key does: it goes where it has expired. */
  touch(key: string): void {
    this.find(key)
  }

  /** What a key holds, as its commands would answer, without finding it expired. */
  look(key: string): { type: Value['type']; expiresAt: number | undefined; value: Reply } {
    const { value, expiresAt } = this.entries.get(key) as Entry
    const { type } = value
    if (type === 'string') return { type, expiresAt, value: value.text }
    if (type === 'set') return { type, expiresAt, value: [...value.members] }
    if (type === 'hash') return { type, expiresAt, value: [...value.fields].flat() }
    return { type, expiresAt, value: value.zset.pairs().flatMap(([member, score]) => [member, shown(score)]) }
  }

  keys(): string[] {
    return [...this.entries.keys()]
  }

  execute([name = '', ...args]: string[]): Reply {
    const command = COMMANDS[name.toUpperCase()]
    if (!command) return { err: `ERR unknown command '${name}'` }
    try {
      return command(this, args)
    } catch (error) {
      if (error === WRONG_TYPE) return WRONG_TYPE
      throw error
    }
  }

  time(): number {
    return this.now()
  }

  publish(channel: string, message: string): number {
    return this.listeners.publish(channel, message)
  }

  find(key: string): Entry | undefined {
    const entry = this.entries.get(key)
    if (entry?.expiresAt === undefined || this.now() <= entry.expiresAt) return entry
    this.entries.delete(key)
    this.listeners.expired(key)
    return undefined
  }

  of<T extends Value['type']>(type: T, key: string): Of<T> | undefined {
    const entry = this.find(key)
    if (!entry) return undefined
    if (entry.value.type !== type) throw WRONG_TYPE
    return entry.value as Of<T>
  }

  make<T extends Value['type']>(type: T, key: string): Of<T> {
    const found = this.of(type, key)
    if (found) return found
    const value = empty(type)
    this.entries.set(key, { value, expiresAt: undefined })
    return value as Of<T>
  }

  set(key: string, text: string, expiresAt: number | undefined): void {
    this.find(key)
    this.entries.set(key, { value: { type: 'string', text }, expiresAt })
    if (expiresAt !== undefined) this.listeners.willExpire(key, expiresAt)
  }

  expire(key: string, at: number): boolean {
    const entry = this.find(key)
    if (!entry) return false
    entry.expiresAt = at
    this.listeners.willExpire(key, at)
    return true
  }

  remove(key: string): number {
    return this.find(key) && this.entries.delete(key) ? 1 : 0
  }

  /** Takes a key away without looking at its expiry. */
  drop(key: string): void {
    this.entries.delete(key)
  }

  /** Empty sets do not exist. */
  tidy(key: string): void {
    const value = this.entries.get(key)?.value
    const size =
      value?.type === 'set' ? value.members.size : value?.type === 'hash' ? value.fields.size : value?.type === 'zset' ? value.zset.size : 1
    if (size === 0) this.entries.delete(key)
  }
}

function empty(type: Value['type']): Value {
  if (type === 'set') return { type, members: new Set() }
  if (type === 'hash') return { type, fields: new Map() }
  if (type === 'zset') return { type, zset: new SortedSet() }
  return { type, text: '' }
}

type Plain = { value: Exclude<Value, { type: 'zset' }> | { type: 'zset'; pairs: [string, number][] }; expiresAt: number | undefined }

function plain({ value, expiresAt }: Entry): Plain {
  return { value: value.type === 'zset' ? { type: 'zset', pairs: value.zset.pairs() } : value, expiresAt }
}

function revived({ value, expiresAt }: Plain): Entry {
  if (value.type !== 'zset') return { value, expiresAt }
  const zset = new SortedSet()
  for (const [member, score] of value.pairs) zset.add(member, score)
  return { value: { type: 'zset', zset }, expiresAt }
}

/** Members by score, then by name. */
export class SortedSet {
  private readonly scores = new Map<string, number>()
  private readonly order: { member: string; score: number }[] = []

  get size(): number {
    return this.order.length
  }

  score(member: string): number | undefined {
    return this.scores.get(member)
  }

  add(member: string, score: number): void {
    this.remove(member)
    this.scores.set(member, score)
    this.order.splice(this.place(member, score), 0, { member, score })
  }

  remove(member: string): boolean {
    const score = this.scores.get(member)
    if (score === undefined) return false
    this.scores.delete(member)
    this.order.splice(this.place(member, score), 1)
    return true
  }

  /** From index to index, both included. */
  range(first: number, last: number): { member: string; score: number }[] {
    const from = first < 0 ? Math.max(0, this.size + first) : first
    return this.order.slice(from, last < 0 ? this.size + last + 1 : last + 1)
  }

  between(least: number, most: number): { member: string; score: number }[] {
    return this.order.filter(({ score }) => score >= least && score <= most)
  }

  pairs(): [string, number][] {
    return this.order.map(({ member, score }) => [member, score])
  }

  private place(member: string, score: number): number {
    let [low, high] = [0, this.order.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const one = this.order[middle] as { member: string; score: number }
      if (one.score < score || (one.score === score && one.member < member)) low = middle + 1
      else high = middle
    }
    return low
  }
}

type Command = (data: Data, args: string[]) => Reply

const bound = (text: string): number =>
  text === '-inf' ? Number.NEGATIVE_INFINITY : text === '+inf' ? Number.POSITIVE_INFINITY : Number(text)
const shown = (score: number): string => asText(score, 17)
const count = (values: readonly string[], act: (value: string) => unknown): number => values.filter((value) => act(value)).length

function removeFrom(data: Data, key: string, act: () => number): number {
  const removed = act()
  data.tidy(key)
  return removed
}

const COMMANDS: Record<string, Command> = {
  TIME: (data) => {
    const now = data.time()
    return [String(Math.floor(now / 1000)), String(Math.floor((now % 1000) * 1000))]
  },
  PING: () => ({ ok: 'PONG' }),
  EXISTS: (data, keys) => count(keys, (key) => data.find(key)),
  GET: (data, [key = '']) => data.of('string', key)?.text ?? null,
  SET: (data, [key = '', text = '', ...options]) => {
    let expiresAt: number | undefined
    for (let i = 0; i < options.length; i += 1) {
      const option = (options[i] as string).toUpperCase()
      if (option === 'NX') {
        if (data.find(key)) return null
      } else if (option === 'PX') expiresAt = Math.floor(data.time()) + Number(options[++i])
      else if (option === 'EX') expiresAt = Math.floor(data.time()) + 1000 * Number(options[++i])
      else if (option === 'PXAT') expiresAt = Number(options[++i])
      else return { err: 'ERR syntax error' }
    }
    data.set(key, text, expiresAt)
    return OK
  },
  PTTL: (data, [key = '']) => {
    const entry = data.find(key)
    if (!entry) return -2
    return entry.expiresAt === undefined ? -1 : Math.max(0, entry.expiresAt - Math.floor(data.time()))
  },
  PEXPIRE: (data, [key = '', ms = '']) => (data.expire(key, Math.floor(data.time()) + Number(ms)) ? 1 : 0),
  UNLINK: (data, keys) => count(keys, (key) => data.remove(key)),
  DEL: (data, keys) => count(keys, (key) => data.remove(key)),
  HGET: (data, [key = '', field = '']) => data.of('hash', key)?.fields.get(field) ?? null,
  HMGET: (data, [key = '', ...fields]) => fields.map((field) => data.of('hash', key)?.fields.get(field) ?? null),
  HGETALL: (data, [key = '']) => [...(data.of('hash', key)?.fields ?? [])].flat(),
  HLEN: (data, [key = '']) => data.of('hash', key)?.fields.size ?? 0,
  HSET: (data, [key = '', ...pairs]) => {
    const { fields } = data.make('hash', key)
    let added = 0
    for (let i = 0; i < pairs.length; i += 2) {
      if (!fields.has(pairs[i] as string)) added += 1
      fields.set(pairs[i] as string, pairs[i + 1] as string)
    }
    return added
  },
  HSETNX: (data, [key = '', field = '', text = '']) => {
    const { fields } = data.make('hash', key)
    if (fields.has(field)) return 0
    fields.set(field, text)
    return 1
  },
  HINCRBY: (data, [key = '', field = '', by = '']) => {
    const { fields } = data.make('hash', key)
    const value = Number(fields.get(field) ?? 0) + Number(by)
    fields.set(field, String(value))
    return value
  },
  HDEL: (data, [key = '', ...names]) => removeFrom(data, key, () => count(names, (name) => data.of('hash', key)?.fields.delete(name))),
  SADD: (data, [key = '', ...members]) => {
    const set = data.make('set', key).members
    const before = set.size
    for (const member of members) set.add(member)
    return set.size - before
  },
  SREM: (data, [key = '', ...members]) =>
    removeFrom(data, key, () => count(members, (member) => data.of('set', key)?.members.delete(member))),
  SMEMBERS: (data, [key = '']) => [...(data.of('set', key)?.members ?? [])],
  SMISMEMBER: (data, [key = '', ...members]) => {
    const set = data.of('set', key)?.members
    return members.map((member) => (set?.has(member) ? 1 : 0))
  },
  SINTERSTORE: (data, [target = '', ...keys]) => {
    // The first key's expiry is not looked at, so a key past it goes without an event.
    if (keys.some((key) => data.find(key))) return { err: 'ERR only intersections with nothing are known here' }
    data.drop(target)
    return 0
  },
  ZADD: (data, [key = '', ...rest]) => {
    const isLess = rest[0]?.toUpperCase() === 'LT'
    const pairs = isLess ? rest.slice(1) : rest
    const { zset } = data.make('zset', key)
    let added = 0
    for (let i = 0; i < pairs.length; i += 2) {
      const [score, member] = [Number(pairs[i]), pairs[i + 1] as string]
      if (Number.isNaN(score)) return { err: 'ERR value is not a valid float' }
      const known = zset.score(member)
      if (known === undefined) added += 1
      if (known === undefined || !isLess || score < known) zset.add(member, score)
    }
    return added
  },
  ZREM: (data, [key = '', ...members]) =>
    removeFrom(data, key, () => count(members, (member) => data.of('zset', key)?.zset.remove(member))),
  ZCARD: (data, [key = '']) => data.of('zset', key)?.zset.size ?? 0,
  ZSCORE: (data, [key = '', member = '']) => {
    const score = data.of('zset', key)?.zset.score(member)
    return score === undefined ? null : shown(score)
  },
  ZMSCORE: (data, [key = '', ...members]) => {
    const zset = data.of('zset', key)?.zset
    return members.map((member) => {
      const score = zset?.score(member)
      return score === undefined ? null : shown(score)
    })
  },
  ZRANGE: (data, [key = '', first = '', last = '', scores]) => {
    const found = data.of('zset', key)?.zset.range(Number(first), Number(last)) ?? []
    return found.flatMap(({ member, score }) => (scores ? [member, shown(score)] : [member]))
  },
  ZRANGEBYSCORE: (data, [key = '', least = '', most = '', limit, offset = '0', number = '-1']) => {
    const found = data.of('zset', key)?.zset.between(bound(least), bound(most)) ?? []
    const members = found.map(({ member }) => member)
    return limit ? members.slice(Number(offset), Number(offset) + Number(number)) : members
  },
  ZCOUNT: (data, [key = '', least = '', most = '']) => data.of('zset', key)?.zset.between(bound(least), bound(most)).length ?? 0,
  ZPOPMIN: (data, [key = '', number = '1']) => {
    const zset = data.of('zset', key)?.zset
    const found = zset?.range(0, Number(number) - 1) ?? []
    for (const { member } of found) zset?.remove(member)
    data.tidy(key)
    return found.flatMap(({ member, score }) => [member, shown(score)])
  },
  PUBLISH: (data, [channel = '', message = '']) => data.publish(channel, message),
  SCAN: (data) => ['0', data.keys().filter((key) => data.find(key))],
}
