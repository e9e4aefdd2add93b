// Postgres's protocol, version 3, as a server speaks it (https://www.postgresql.org/docs/current/protocol-message-formats.html). Values as text.

import { OIDS, type SqlError, shown, type Type, type Value } from './values.js'

const CANCEL = 80_877_102

function message(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const cstring = (text: string): Buffer => Buffer.from(`${text}\0`)
const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** The next whole message that a client sent, and what follows it. */
export function next(data: Buffer): { type: string; body: Buffer; rest: Buffer } | undefined {
  if (data.length < 5) return undefined
  const length = data.readInt32BE(1)
  if (data.length < length + 1) return undefined
  return { type: String.fromCharCode(data[0] as number), body: data.subarray(5, length + 1), rest: data.subarray(length + 1) }
}

/** A client's first message: its parameters, or the process whose statement it cancels. */
export function startup(data: Buffer): { parameters: Record<string, string>; cancels?: number; rest: Buffer } | undefined {
  if (data.length < 8 || data.length < data.readInt32BE(0)) return undefined
  const length = data.readInt32BE(0)
  const rest = data.subarray(length)
  if (data.readInt32BE(4) === CANCEL) return { parameters: {}, cancels: data.readInt32BE(8), rest }
  const words = data.subarray(8, length).toString().split('\0')
  const parameters: Record<string, string> = {}
  for (let i = 0; i + 1 < words.length; i += 2) if (words[i]) parameters[words[i] as string] = words[i + 1] as string
  return { parameters, rest }
}

export function text(body: Buffer, start: number): { value: string; end: number } {
  const end = body.indexOf(0, start)
  return { value: body.toString('utf8', start, end), end: end + 1 }
}

/** The parameters of a Bind, all of them as text. */
export function boundValues(body: Buffer): (string | null)[] {
  const statement = text(body, text(body, 0).end)
  let at = statement.end
  at += 2 + 2 * body.readInt16BE(at) // formats
  const values: (string | null)[] = []
  const count = body.readInt16BE(at)
  at += 2
  for (let i = 0; i < count; i += 1) {
    const length = body.readInt32BE(at)
    at += 4
    values.push(length < 0 ? null : body.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  return values
}

export const parseComplete = message('1')
export const bindComplete = message('2')
export const noData = Buffer.alloc(0)
export const emptyQuery = message('I')

export function greeting(pid: number): Buffer {
  const parameters = {
    server_version: '18.4',
    client_encoding: 'UTF8',
    standard_conforming_strings: 'on',
    TimeZone: 'UTC',
    in_hot_standby: 'off',
  }
  return Buffer.concat([
    message('R', int32(0)),
    ...Object.entries(parameters).map(([name, value]) => message('S', cstring(name), cstring(value))),
    message('K', int32(pid), int32(pid)),
    readyForQuery('I'),
  ])
}

export function readyForQuery(status: 'I' | 'T' | 'E'): Buffer {
  return message('Z', Buffer.from(status))
}

export function rowDescription(columns: readonly { name: string; type: Type }[]): Buffer {
  return message(
    'T',
    int16(columns.length),
    ...columns.map(({ name, type }) =>
      Buffer.concat([cstring(name), int32(0), int16(0), int32(OIDS[type]), int16(-1), int32(-1), int16(0)]),
    ),
  )
}

export function dataRow(values: readonly Value[], columns: readonly { type: Type }[]): Buffer {
  const fields = columns.map(({ type }, i) => {
    const value = shown(values[i] ?? null, type)
    if (value === null) return int32(-1)
    const bytes = Buffer.from(value)
    return Buffer.concat([int32(bytes.length), bytes])
  })
  return message('D', int16(columns.length), ...fields)
}

export function complete(tag: string): Buffer {
  return message('C', cstring(tag))
}

export function error({ state, message: told }: SqlError, severity = 'ERROR'): Buffer {
  const fields = { S: severity, V: severity, C: state, M: told }
  return message(
    'E',
    ...Object.entries(fields).map(([code, value]) => Buffer.concat([Buffer.from(code), cstring(value)])),
    Buffer.from([0]),
  )
}
