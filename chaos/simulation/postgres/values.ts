// Values and types of Postgres as far as the package's statements use them. Instants and intervals are whole microseconds, NULL is null, a numeric
// is a fraction, an array a list.

export type Type = 'bool' | 'int4' | 'int8' | 'float8' | 'numeric' | 'text' | 'timestamptz' | 'interval' | 'json' | 'array' | 'unknown'

/** What an expression comes to. */
export type Value = null | boolean | number | string | Fraction | Value[]

export interface Fraction {
  top: number
  bottom: number
}

export class SqlError extends Error {
  constructor(
    readonly state: string,
    message: string,
  ) {
    super(message)
  }
}

export const OIDS: Record<Type, number> = {
  bool: 16,
  int8: 20,
  int4: 23,
  text: 25,
  json: 114,
  float8: 701,
  timestamptz: 1184,
  interval: 1186,
  numeric: 1700,
  array: 1009,
  unknown: 25,
}

const NAMES: Record<string, Type> = {
  bool: 'bool',
  int2: 'int4',
  int4: 'int4',
  int8: 'int8',
  oid: 'int8',
  regclass: 'text',
  float8: 'float8',
  numeric: 'numeric',
  text: 'text',
  varchar: 'text',
  timestamptz: 'timestamptz',
  interval: 'interval',
  json: 'json',
  tstzrange: 'text',
}

export function typeNamed(name: string): Type {
  const type = NAMES[name]
  if (!type) throw new Error(`Postgres: the type ${name} is not modelled`)
  return type
}

export function isFraction(value: Value): value is Fraction {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function asNumber(value: Value): number {
  if (isFraction(value)) return value.top / value.bottom
  return Number(value)
}

/** As `value::type`. */
export function cast(value: Value, from: Type, to: Type): Value {
  if (value === null || from === to) return value
  if (to === 'text' || to === 'json') return shown(value, from)
  if (to === 'array') return typeof value === 'string' ? parseArray(value) : value
  if (from === 'unknown' || from === 'text') return parse(value as string, to)
  switch (to) {
    case 'int4':
    case 'int8':
      return roundHalfEven(asNumber(value))
    case 'float8':
      return asNumber(value)
    case 'numeric':
      return isFraction(value) ? value : { top: asNumber(value), bottom: 1 }
    default:
      throw new Error(`Postgres: no cast from ${from} to ${to} is modelled`)
  }
}

export function roundHalfEven(value: number): number {
  const rounded = Math.round(value)
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}

function parse(text: string, to: Type): Value {
  switch (to) {
    case 'bool':
      return /^(t|true|y|yes|on|1)$/i.test(text)
    case 'int4':
    case 'int8':
      if (!/^\s*[+-]?\d+\s*$/.test(text)) throw new SqlError('22P02', `invalid input syntax for type integer: "${text}"`)
      return Number(text)
    case 'float8':
      return Number(text)
    case 'numeric':
      return { top: Number(text), bottom: 1 }
    case 'timestamptz':
      return parseInstant(text)
    case 'interval':
      return parseInterval(text)
    default:
      return text
  }
}

/** Microseconds since 1970. */
function parseInstant(text: string): number {
  const [, date, time, fraction = '', zone = '+00'] =
    /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/.exec(text) ?? []
  if (date === undefined) throw new SqlError('22007', `invalid input syntax for type timestamp with time zone: "${text}"`)
  const offset = zone === 'Z' ? '+00:00' : `${zone.slice(0, 3)}:${zone.replace(/^.\d\d:?/, '') || '00'}`
  return Date.parse(`${date}T${time}${offset}`) * 1000 + Number(fraction.padEnd(6, '0'))
}

const UNITS: Record<string, number> = { millisecond: 1000, ms: 1000, second: 1e6, minute: 6e7, hour: 3.6e9, day: 8.64e10 }

function parseInterval(text: string): number {
  const [, amount, unit = 'second'] = /^\s*(-?[\d.]+)\s*([a-z]+?)?s?\s*$/.exec(text) ?? []
  const factor = UNITS[unit === 'm' ? 'ms' : unit]
  if (amount === undefined || factor === undefined) throw new Error(`Postgres: the interval ${text} is not modelled`)
  return Math.round(Number(amount) * factor)
}

function parseArray(text: string): Value[] {
  const inner = text.trim().slice(1, -1)
  if (inner === '') return []
  return [...inner.matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(([, quoted, bare]) =>
    quoted === undefined ? (bare === 'NULL' ? null : (bare as string)) : quoted.replace(/\\(.)/g, '$1'),
  )
}

/** As Postgres sends a value. */
export function shown(value: Value, type: Type): string | null {
  if (value === null) return null
  if (type === 'bool') return value ? 't' : 'f'
  if (type === 'timestamptz') return showInstant(value as number)
  if (isFraction(value)) return showFraction(value)
  if (Array.isArray(value)) return `{${value.map((one) => String(one)).join(',')}}`
  return String(value)
}

function showFraction({ top, bottom }: Fraction): string {
  const digits = Math.max(0, Math.round(Math.log10(bottom)))
  return (top / bottom).toFixed(digits)
}

function showInstant(microseconds: number): string {
  const seconds = Math.floor(microseconds / 1e6)
  const fraction = String(microseconds - seconds * 1e6)
    .padStart(6, '0')
    .replace(/0+$/, '')
  const text = new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')
  return `${text}${fraction && `.${fraction}`}+00`
}
