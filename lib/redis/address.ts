// Redis's address as text, in the forms that ioredis accepts: a URL, a socket's path, host and port. Versions of ioredis parse them
// differently, so they are parsed here, and ioredis gets options. Text that could lead to an unintended server is refused.

import type { RedisOptions } from 'ioredis'
import { OrderTimersError, show } from '../errors.js'

/** The options that a URL's query may set. Other options that ioredis reads there are overridden or unknown. */
type Query = Partial<
  Record<'db' | 'family' | 'host' | 'keyPrefix' | 'password' | 'path' | 'port' | 'protocol' | 'tls' | 'username', string>
>

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i
const ENCODE = 'encode #, /, ?, @ and % in a user name or a password with encodeURIComponent'
const EXPECTED = 'must be a URL such as redis://127.0.0.1:6379/0, host:port, a port, the path of a socket'

const SENTINELS = 'by Sentinel, give ioredis options: { sentinels: [{ host, port }, …], name: "mymaster" }'

/** Names of other packages. ioredis ignores them, and would log in as the default user. */
const MISNAMED = { user: 'username', pass: 'password' }

/** Text that comes from an unset or badly quoted variable, and is not a host. */
const NO_HOST = new Set(['undefined', 'null', 'false', 'true', 'NaN', '[object Object]'])

/** @throws OrderTimersError INVALID_OPTION, without the password */
export function parseAddress(text: string): RedisOptions {
  const address = text.trim()
  if (address === '' || NO_HOST.has(address)) throw invalid(text, `${EXPECTED} or false`)
  if (/\s/.test(address)) throw invalid(text, 'must not contain spaces')
  if (/^\d+$/.test(address)) return checked({ port: Number(address) }, text)
  const scheme = SCHEME.exec(address)?.[1]?.toLowerCase()
  if (address.startsWith('/') && !address.startsWith('//')) return socket(address, text)
  if (scheme === 'unix') return socket(address.slice('unix://'.length), text)
  if (scheme !== undefined && scheme !== 'redis' && scheme !== 'rediss') throw invalid(text, `${EXPECTED}; ${schemeRemedy(scheme)}`)
  if (address.includes('#')) throw invalid(text, `has a "#", where the address would end; ${ENCODE}`)
  const bare = scheme === undefined && !address.startsWith('//')
  if (/^[^@?]*,/.test(address.slice(address.lastIndexOf('@') + 1))) throw invalid(text, `names several servers; ${SENTINELS}`)
  const url = urlOf(scheme ? address : bare ? `redis://${address}` : `redis:${address}`, text)
  if ((url.pathname + url.search).includes('@')) throw invalid(text, `has an "@" after its first "/" or "?"; ${ENCODE}`)
  if (bare && url.pathname.length > 1) throw invalid(text, 'has a "/" and no scheme; write redis://host:port/db')
  const query = queryOf(url.searchParams)
  if (url.hostname === '' && url.pathname.length < 2 && query.host === undefined)
    throw invalid(text, 'names no host; write redis://host:port/db')
  return checked(
    {
      ...fromQuery(query, text),
      ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
      ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
      ...(url.hostname !== '' && { host: decodeURIComponent(url.hostname.replace(/^\[|\]$/g, '')) }),
      ...(url.port !== '' && { port: Number(url.port) }),
      ...(url.pathname.length > 1 && { db: url.pathname.slice(1) as never }),
      ...(scheme === 'rediss' && { tls: {} }),
    },
    text,
  )
}

/** Checks options that ioredis would silently misread. @throws OrderTimersError INVALID_OPTION */
export function checked(options: RedisOptions, given: unknown = options): RedisOptions {
  const { db, port, keyPrefix, host, sentinels, name } = options as Record<string, unknown>
  const result = { ...options }
  for (const [name, right] of Object.entries(MISNAMED))
    if (name in options) throw invalid(given, `has the option ${show(name)}, which ioredis ignores; ioredis calls it ${show(right)}`)
  if (typeof given !== 'string' && typeof host === 'string' && /\/|^[^:]*:\d+$/.test(host))
    throw invalid(given, 'has a "host" that is more than a host; give "port" and the others by themselves, or the address itself as text')
  if (sentinels !== undefined && sentinels !== null && !(areSentinels(sentinels) && typeof name === 'string' && name !== ''))
    throw invalid(given, `must have Sentinels' addresses and the name that they know the primary by; ${SENTINELS}`)
  if (db !== undefined && db !== null) {
    if (!isWhole(db) || Number(db) > 1_000_000) throw invalid(given, 'must name a db by its number, such as redis://host:port/0')
    result.db = Number(db)
  }
  if (port !== undefined && port !== null) {
    if (!isWhole(port) || Number(port) < 1 || Number(port) > 65_535)
      throw invalid(given, `must have a port from 1 to 65535, not ${show(port)}`)
    result.port = Number(port)
  }
  if (keyPrefix !== undefined && keyPrefix !== null && typeof keyPrefix !== 'string')
    throw invalid(given, `must have text as "keyPrefix", not ${show(keyPrefix)}`)
  return result
}

/** Host, port and db, the path of a socket, or the Sentinels' name for it; never a user or a password. */
export function describeAddress({ host, port, path, db, sentinels, name }: RedisOptions): string {
  const of = ` db ${db ?? 0}`
  if (sentinels?.length) return `"${name}" by Sentinel ${sentinels.map((one) => `${one.host}:${one.port ?? 26_379}`).join(', ')}${of}`
  if (path) return path + of
  return `${host?.includes(':') ? `[${host}]` : (host ?? 'localhost')}:${port ?? 6379}${of}`
}

/** The address as an error may show it: only its scheme if a part may be a password. */
export function shownAddress(text: string): string {
  const [scheme = ''] = SCHEME.exec(text) ?? []
  const rest = text.slice(scheme.length)
  const [, host] = /^[^@]*@([^@]*)$/.exec(rest) ?? []
  if (host !== undefined && !/[#?]/.test(rest)) return show(`${scheme}***@${host}`)
  const doubtful = /[@#?]|^:|:[^:/]*[^:/\d\]]/.test(rest) || (/^rediss?:/i.test(scheme) && /\/.*\D/.test(rest))
  return show(doubtful ? `${scheme}***` : text)
}

function socket(address: string, given: string): RedisOptions {
  const [path = '', search = ''] = address.split(/\?(.*)/s)
  if (/^[^/]*@\//.test(path))
    throw invalid(
      given,
      'has a user before the path of a socket; write unix:///run/redis.sock?username=…&password=…, each by encodeURIComponent',
    )
  if (!path.startsWith('/')) throw invalid(given, 'must have the absolute path of the socket, such as unix:///run/redis.sock')
  const { db, username, password, keyPrefix } = queryOf(new URLSearchParams(search))
  return checked({ ...fromQuery({ db, username, password, keyPrefix } as Query, given), path: path as never }, given)
}

function urlOf(address: string, given: string): URL {
  try {
    const url = new URL(address)
    for (const part of [url.username, url.password, url.hostname, url.pathname + url.search]) decodeURIComponent(part)
    return url
  } catch {
    throw invalid(given, `cannot be parsed as an address; ${ENCODE}, and put an IPv6 address in brackets`)
  }
}

function queryOf(parameters: URLSearchParams): Query {
  return Object.fromEntries(parameters)
}

function fromQuery({ db, family, host, keyPrefix, password, path, port, protocol, tls, username }: Query, given: string): RedisOptions {
  if (tls !== undefined && !['true', 'false', ''].includes(tls)) throw invalid(given, 'must have tls=true or tls=false in its query')
  const numbers = { db, family, port, protocol }
  const texts = { host, keyPrefix, password, path, username }
  const options: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(texts)) if (value !== undefined) options[name] = value
  for (const [name, value] of Object.entries(numbers)) {
    if (value === undefined) continue
    options[name] = isWhole(value) ? Number(value) : value
    if (!isWhole(value) && name !== 'db' && name !== 'port') throw invalid(given, `must have a number as "${name}" in its query`)
  }
  if (tls === 'true' || tls === '') options.tls = {}
  return options
}

/** For invalid values ioredis throws a plain error, or asks a Sentinel on this host. */
function areSentinels(value: unknown): boolean {
  const isOne = (one: unknown) => typeof (one as { host?: unknown } | null)?.host === 'string'
  return Array.isArray(value) && value.length > 0 && value.every(isOne)
}

function schemeRemedy(scheme: string): string {
  if (scheme.includes('sentinel')) return SENTINELS
  if (scheme.includes('cluster')) return 'give the nodes of a cluster as redis: { nodes: ["host:port"] }'
  if (scheme.startsWith('valkey')) return 'Valkey speaks the protocol of Redis: write redis, or rediss for TLS'
  return 'its scheme is redis, rediss (TLS) or unix'
}

function isWhole(value: unknown): boolean {
  return /^\d{1,7}$/.test(String(value))
}

function invalid(given: unknown, why: string): OrderTimersError {
  const about = typeof given === 'string' ? `, got ${shownAddress(given)}` : ''
  return new OrderTimersError('INVALID_OPTION', `orderTimers: "redis" ${why}${about}`)
}
